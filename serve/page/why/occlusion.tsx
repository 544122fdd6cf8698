/**
 * The probability of a class while a patch of the mean colour covers one part of the image after another: where it falls,
 * there is what counts.
 */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { count, finePercent, words } from '../parts/numbers.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { type Covered, type Covering, cover } from './cover.js';
import { CoveredTable } from './covered-table.js';
import { HeatMap, Uncovered } from './heat-map.js';

export function Occlusion({ subject }: { subject: Subject }) {
  const { model, version } = subject.target;
  return (
    <View
      title="What if a part were covered"
      note={
        <>
          <p>
            A patch of the mean colour, middle grey if the model file states none, covers the image at one place after
            another, and the network is asked each time. Orange: there the probability falls, so that part speaks for
            the class. Blue: it rises. Changes below one point fade.
          </p>
          <p>
            Not in the paper: the experiment is that of Zeiler and Fergus,{' '}
            <cite>Visualizing and Understanding Convolutional Networks</cite>, 2014, §4.2, made with an AlexNet.
          </p>
        </>
      }
    >
      <Experiment key={`${model}/${version}`} subject={subject} />
    </View>
  );
}

/**
 * Done by itself while someone looks at it: the server is not set to work for nobody, and other views wait meanwhile.
 * @param chosen  counts from the next beginning on
 */
function useCovered(subject: Subject, chosen: Covering, inView: boolean) {
  const { image, target, crop, epoch } = subject;
  const [covered, setCovered] = useState<Covered>();
  const needs = [image, target, crop?.number, epoch];
  const { task, start, cancel } = useTask(
    (signal) => cover(subject, chosen, signal, setCovered),
    needs,
    inView && image !== undefined && crop !== undefined,
  );
  useEffect(() => setCovered(undefined), needs);
  return {
    covered,
    task,
    begin: () => {
      setCovered(undefined);
      start();
    },
    cancel,
  };
}

function Experiment({ subject }: { subject: Subject }) {
  const { crop, answer } = subject;
  const [set, setChosen] = useState<Covering>({});
  const isOffered = answer?.predictions.some(({ index }) => index === set.class);
  const chosen = isOffered ? set : { ...set, class: undefined };
  const all = useRef<HTMLDivElement>(null);
  const { covered, task, begin, cancel } = useCovered(subject, chosen, useInView(all));
  const working = task.state === 'working';
  return (
    <div ref={all}>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          begin();
        }}
      >
        <ClassChoice answer={answer} value={chosen.class} set={(index) => setChosen({ ...chosen, class: index })} />
        <Pixels label="Patch, px" value={chosen.patch} set={(patch) => setChosen({ ...chosen, patch })} />
        <Pixels label="Step, px" value={chosen.stride} set={(stride) => setChosen({ ...chosen, stride })} />
        {/* Keys: one element for both would become the submit button while it is being clicked, and start the work again. */}
        {working ? (
          <button key="cancel" type="button" onClick={cancel}>
            Cancel
          </button>
        ) : (
          <button key="begin" type="submit" class="main" disabled={!crop}>
            {covered ? 'Cover again' : 'Cover the image'}
          </button>
        )}
      </form>
      {task.state === 'failed' && <Failure error={task.error} again={begin} />}
      {working && <Progress covered={covered} />}
      {!covered && <Uncovered subject={subject} />}
      {covered && (
        <>
          <HeatMap covered={covered} working={working} subject={subject} />
          <p role="status">{summary(covered, working)}</p>
          <CoveredTable covered={covered} />
        </>
      )}
    </div>
  );
}

/** Whether any of it is on the screen. */
function useInView(element: RefObject<HTMLElement | null>): boolean {
  const [inView, setInView] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setInView(entries.at(-1)!.isIntersecting));
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return inView;
}

interface ClassChoiceProps {
  answer: Subject['answer'];
  value: number | undefined;
  set(value: number | undefined): void;
}

function ClassChoice({ answer, value, set }: ClassChoiceProps) {
  return (
    <label>
      Class
      <select
        value={value ?? ''}
        onChange={({ currentTarget: select }) => set(select.value === '' ? undefined : Number(select.value))}
      >
        <option value="">the crop’s first</option>
        {answer?.predictions.map(({ index, label }) => (
          <option key={index} value={index}>
            {words(label)}
          </option>
        ))}
      </select>
    </label>
  );
}

interface PixelsProps {
  label: string;
  value: number | undefined;
  set(value: number | undefined): void;
}

function Pixels({ label, value, set }: PixelsProps) {
  return (
    <label>
      {label}
      <input
        type="number"
        min={1}
        placeholder="auto"
        value={value ?? ''}
        onInput={({ currentTarget: input }) => set(input.value === '' ? undefined : Number(input.value))}
      />
    </label>
  );
}

function Progress({ covered }: { covered: Covered | undefined }) {
  if (!covered) return <p class="status">Waiting for the server…</p>;
  const { done, start } = covered;
  return (
    <p class="aside">
      <progress max={start.total} value={done} aria-label="Places done" /> {count(done)} of {count(start.total)} places
    </p>
  );
}

/** Said once it has ended, as the bar tells until then. */
function summary({ start, lowest, tops, done }: Covered, working: boolean): string {
  if (working) return '';
  const uncovered = `Uncovered, ${words(start.class.label)} has ${finePercent(start.probability)}.`;
  if (!lowest) return `${uncovered} Ended after ${done} of ${start.total} places.`;
  const others = tops.filter((top) => top !== start.class.index).length;
  const elsewhere =
    others > 0
      ? `At ${others} of ${start.total} places another class is the most probable.`
      : 'It stays the most probable.';
  return (
    `${uncovered} Covered at row ${lowest.row}, column ${lowest.column} it has ${finePercent(lowest.probability)}, the least. ` +
    elsewhere
  );
}
