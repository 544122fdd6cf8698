/** The first chapter: an image in, five labels out, and the crops that they were averaged from. */
import { useEffect } from 'preact/hooks';
import { Cancelled, Failure } from '../parts/answer.js';
import { Chapter } from '../parts/chapter.js';
import type { Classified } from '../server/answers.js';
import { askJson, type Target } from '../server/request.js';
import type { Server } from '../server/use-server.js';
import { type Running, useTask } from '../server/use-task.js';
import type { Image, Subject } from '../subject.js';
import { Averaging } from './averaging.js';
import { Bars } from './bars.js';
import { ImageInput } from './image-input.js';
import { Picked } from './picked.js';
import { Request } from './request-line.js';
import { QUERY, type Result } from './result.js';
import { Timings } from './timings.js';

/** Besides the five labels that are given unasked: each crop's own. */

interface ClassifyProps {
  subject: Subject;
  server: Server;
  show(image: Image): void;
  setAnswer(answer: Classified | undefined): void;
  setCrop(number: number): void;
}

export function Classify({ subject, show, setAnswer, setCrop }: ClassifyProps) {
  const { image, target, epoch } = subject;
  const running = useTask((signal) => classify(image!, target, signal), [image, target, epoch], image !== undefined);
  const { task } = running;
  useEffect(() => {
    if (task.state === 'done') setAnswer(task.value.answer);
    if (task.state === 'failed') setAnswer(undefined);
  }, [task]);
  return (
    <Chapter
      id="classify"
      ordinal={1}
      title="Classify"
      intro={
        <p>
          The network turns an image into one probability for each class it knows. Give it one: it is sent to this
          server, and to nobody else.
        </p>
      }
    >
      <ImageInput show={show} />
      {image && <Outcome running={running} subject={subject} image={image} setCrop={setCrop} />}
    </Chapter>
  );
}

/** @throws as `ask`; Error where the file cannot be read */
async function classify({ blob }: Image, target: Target, signal: AbortSignal): Promise<Result> {
  // A request would fail as if the server were gone.
  await blob
    .slice(0, 1)
    .arrayBuffer()
    .catch((cause) => {
      throw new Error('the file cannot be read; is it a folder, or has it been moved?', { cause });
    });
  const started = performance.now();
  const answer = await askJson<Classified>('classify', { ...QUERY, ...target }, signal, blob);
  return { answer, roundTripMs: performance.now() - started };
}

function EachAlone() {
  return (
    <p class="aside">
      Each label is judged on its own: several may apply, or none, so the percentages need not add up to 100 %.
    </p>
  );
}

interface OutcomeProps {
  running: Running<Result>;
  subject: Subject;
  image: Image;
  setCrop(number: number): void;
}

function Outcome({ running: { task, start, cancel }, subject, image, setCrop }: OutcomeProps) {
  if (task.state === 'failed') return <Failure error={task.error} again={start} />;
  if (task.state === 'cancelled') return <Cancelled again={start} />;
  const result = task.state === 'done' ? task.value : undefined;
  const { answer } = result ?? {};
  return (
    <>
      <div class="outcome">
        <Picked image={image} shape={subject.shape} crops={answer?.by_crop ?? []} chosen={subject.crop?.number} />
        <div class="labels" aria-live="polite" aria-busy={!result}>
          {result ? (
            <>
              <Bars answer={result.answer} />
              {result.answer.multi_label && <EachAlone />}
              <Timings result={result} />
            </>
          ) : (
            <p class="status">
              Sent to the server…{' '}
              <button type="button" onClick={cancel}>
                Cancel
              </button>
            </p>
          )}
        </div>
      </div>
      {answer && (
        <>
          <Averaging answer={answer} image={image} subject={subject} setCrop={setCrop} />
          <Request answer={answer} image={image} target={subject.target} />
        </>
      )}
    </>
  );
}
