/** The first chapter: an image in, five labels out, and the crops that they were averaged from. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Cancelled, Failure } from '../parts/answer.js';
import { Chapter } from '../parts/chapter.js';
import type { Classified, Labels } from '../server/answers.js';
import { path, type Target } from '../server/request.js';
import { upload } from '../server/upload.js';
import { type Running, useTask } from '../server/use-task.js';
import type { Image, Subject } from '../subject.js';
import { Averaging } from './averaging.js';
import { Bars } from './bars.js';
import { Doubt } from './doubt.js';
import { ImageInput } from './image-input.js';
import { Picked } from './picked.js';
import { Request } from './request-line.js';
import { QUERY, type Result } from './result.js';
import { Timings } from './timings.js';

interface ClassifyProps {
  subject: Subject;
  known?: Labels;
  show(image: Image): void;
  setAnswer(answer: Classified | undefined): void;
  setCrop(number: number): void;
}

export function Classify({ subject, known, show, setAnswer, setCrop }: ClassifyProps) {
  const { image, target, epoch } = subject;
  const [sent, setSent] = useState(0);
  const running = useTask(
    (signal) => classify(image!, target, signal, setSent),
    [image, target, epoch],
    image !== undefined,
  );
  const { task } = running;
  const outcome = useRef<HTMLElement>(null);
  const wanted = useRef(false);
  useEffect(() => {
    if (task.state === 'done') setAnswer(task.value.answer);
    if (task.state === 'failed') setAnswer(undefined);
    if (!wanted.current || (task.state !== 'done' && task.state !== 'failed')) return;
    wanted.current = false;
    outcome.current?.scrollIntoView({ block: 'nearest' });
  }, [task]);
  return (
    <Chapter id="classify" ordinal={1} title="Classify" intro={null}>
      <ImageInput
        known={known}
        show={(next, byHand) => {
          wanted.current = byHand;
          setSent(0);
          show(next);
        }}
      />
      {image && (
        <section class="answer" ref={outcome} aria-label={`Answer to ${image.name}`}>
          <Outcome running={running} sent={sent} subject={subject} image={image} setCrop={setCrop} />
        </section>
      )}
    </Chapter>
  );
}

/** @throws as `upload`; Error where the file cannot be read */
async function classify(
  { blob }: Image,
  target: Target,
  signal: AbortSignal,
  sent: (share: number) => void,
): Promise<Result> {
  // A request would fail as if the server were gone.
  await blob
    .slice(0, 1)
    .arrayBuffer()
    .catch((cause) => {
      throw new Error('the file cannot be read; is it a folder, or has it been moved?', { cause });
    });
  const started = performance.now();
  const answer = await upload(path('classify', { ...QUERY, ...target }), blob, signal, sent);
  return { answer, roundTripMs: performance.now() - started };
}

interface OutcomeProps {
  running: Running<Result>;
  /** Share of the image that has left. */
  sent: number;
  subject: Subject;
  image: Image;
  setCrop(number: number): void;
}

function Outcome({ running: { task, start, cancel }, sent, subject, image, setCrop }: OutcomeProps) {
  const [cropsShown, showCrops] = useState(false);
  if (task.state === 'failed') return <Failure error={task.error} again={start} />;
  if (task.state === 'cancelled') return <Cancelled again={start} />;
  const result = task.state === 'done' ? task.value : undefined;
  const { answer } = result ?? {};
  return (
    <>
      <div class="outcome">
        <Picked
          image={image}
          source={subject.source}
          shape={subject.shape}
          crops={cropsShown ? (answer?.by_crop ?? []) : []}
          chosen={subject.crop?.number}
        />
        <div class="labels" aria-live="polite" aria-busy={!result}>
          {result ? (
            <>
              <Doubt answer={result.answer} />
              <Bars answer={result.answer} />
              <Timings result={result} />
            </>
          ) : (
            <Sending sent={sent} cancel={cancel} />
          )}
        </div>
      </div>
      {answer && (
        <>
          <Averaging answer={answer} subject={subject} setCrop={setCrop} shown={cropsShown} show={showCrops} />
          <Request answer={answer} image={image} target={subject.target} />
        </>
      )}
    </>
  );
}

function Sending({ sent, cancel }: { sent: number; cancel(): void }) {
  return (
    <p class="status">
      {sent < 1 ? 'Sending the image…' : 'The network looks at it…'}{' '}
      <button type="button" onClick={cancel}>
        Cancel
      </button>
      {sent > 0 && sent < 1 && <progress value={sent} aria-label="Sent" />}
    </p>
  );
}
