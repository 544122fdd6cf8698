/** The first chapter: an image in, five labels out, and the crops that they were averaged from. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Cancelled, Failure } from '../parts/answer.js';
import { Chapter } from '../parts/chapter.js';
import type { Labels } from '../server/answers.js';
import type { Image, Subject } from '../subject.js';
import { Averaging } from './averaging.js';
import { Bars } from './bars.js';
import { Doubt } from './doubt.js';
import { ImageInput } from './image-input.js';
import { Picked } from './picked.js';
import { Request } from './request-line.js';
import { Timings } from './timings.js';
import type { Classifying } from './use-classified.js';

interface ClassifyProps {
  subject: Subject;
  classifying: Classifying;
  known?: Labels;
  show(image: Image): void;
  setCrop(number: number): void;
}

export function Classify({ subject, classifying, known, show, setCrop }: ClassifyProps) {
  const { image } = subject;
  const { task } = classifying.running;
  const outcome = useRef<HTMLElement>(null);
  const wanted = useRef(false);
  useEffect(() => {
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
          show(next);
        }}
      />
      {image && (
        <section class="answer" ref={outcome} aria-label={`Answer to ${image.name}`}>
          <Outcome {...classifying} subject={subject} image={image} setCrop={setCrop} />
        </section>
      )}
    </Chapter>
  );
}

interface OutcomeProps extends Classifying {
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
