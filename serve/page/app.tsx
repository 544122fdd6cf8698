/** The page as a whole: what is known of the server and the image, and the chapters that show it. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Classify } from './classify/classify.js';
import { useClassified } from './classify/use-classified.js';
import { useSource } from './classify/use-source.js';
import { Inside } from './inside/inside.js';
import { ModelAndServer } from './model/model-and-server.js';
import { modelOf } from './model/rates.js';
import { Masthead } from './parts/masthead.js';
import type { Classified, Labels, ModelStats } from './server/answers.js';
import { askJson, type Target } from './server/request.js';
import { type Server, useServer } from './server/use-server.js';
import { useTask } from './server/use-task.js';
import { type Image, type Subject, shapeOf } from './subject.js';
import { Why } from './why/why.js';

const CHAPTERS = [
  ['classify', 'Classify'],
  ['inside', 'Look inside'],
  ['why', 'Why'],
  ['model', 'Model and server'],
] as const;

export function App() {
  const server = useServer();
  const [image, setImage] = useState<Image>();
  const [chosen, choose] = useState<string>();
  const [cropNumber, setCropNumber] = useState<number>();
  const models = server.samples.at(-1)?.models ?? [];
  const target = useTarget(models, chosen);
  const epoch = epochOf(server, target);
  const classifying = useClassified(image, target, epoch);
  const { task } = classifying.running;
  const answer = task.state === 'done' ? task.value.answer : undefined;
  const { known, isOfTarget } = useKnown(server, target);
  const about: Omit<Subject, 'source'> = {
    image,
    target,
    answer,
    labels: isOfTarget ? known?.labels : undefined,
    shape: answer && shapeOf(answer),
    crop: answer && cropOf(answer, cropNumber),
    indexed: statsOf(server, target)?.index ?? false,
    epoch,
  };
  const subject = { ...about, source: useSource(about) };
  const show = (next: Image) => {
    if (image) URL.revokeObjectURL(image.url);
    setCropNumber(undefined);
    setImage(next);
  };
  return (
    <>
      <Masthead known={known} />
      <nav class="contents" aria-label="Chapters">
        {CHAPTERS.map(([id, title]) => (
          <a key={id} href={`#${id}`}>
            {title}
          </a>
        ))}
        <div class="end">
          <ModelChoice models={models} chosen={chosen} choose={choose} />
          <Light server={server} />
        </div>
      </nav>
      <main>
        <Unready server={server} />
        <Classify subject={subject} classifying={classifying} known={known} show={show} setCrop={setCropNumber} />
        <Inside subject={subject} />
        <Why subject={subject} />
        <ModelAndServer subject={subject} server={server} />
      </main>
    </>
  );
}

/** One value for as long as it says the same. */
function useTarget(models: readonly ModelStats[], chosen: string | undefined): Target {
  const several = models.length > 1;
  const { name, version } = models.find((model) => keyOf(model) === chosen) ?? models[0] ?? {};
  const [model, its] = several ? [name, version] : [];
  return useMemo(() => ({ model, version: its }), [model, its]);
}

/** What the model knows, once there is one; until then, what the one before it did. */
function useKnown(server: Server, target: Target): { known?: Labels; isOfTarget: boolean } {
  const { task } = useTask(
    (signal) => askJson<Labels>('explain/labels', { ...target }, signal),
    [target, epochOf(server, target)],
    server.state === 'ready',
  );
  const [known, setKnown] = useState<Labels>();
  useEffect(() => {
    if (task.state === 'done') setKnown(task.value);
  }, [task]);
  return { known, isOfTarget: task.state === 'done' && task.value === known };
}

const keyOf = ({ name, version }: { name: string; version: string }) => `${name}/${version}`;

/** What is known of the model just now. */
function statsOf({ samples }: Server, target: Target): ModelStats | undefined {
  const latest = samples.at(-1);
  return latest && modelOf(latest, target);
}

/** Changes when the server was gone, and when the model's file was reloaded. */
function epochOf(server: Server, target: Target): string {
  return `${server.returns} ${statsOf(server, target)?.since_ms}`;
}

/** The one chosen, if there is such a one; else the centre crop, or the whole image. */
function cropOf({ by_crop: crops }: Classified, chosen = -1): Subject['crop'] {
  const centre = Math.max(
    crops.findIndex(({ name }) => name === 'centre'),
    0,
  );
  const number = chosen in crops ? chosen : centre;
  return { ...crops[number], number };
}

interface ModelChoiceProps {
  models: readonly ModelStats[];
  chosen: string | undefined;
  choose(key: string): void;
}

function ModelChoice({ models, chosen, choose }: ModelChoiceProps) {
  if (models.length < 2) return null;
  return (
    <label>
      <span class="hidden">Model</span>
      <select value={chosen ?? keyOf(models[0])} onChange={(event) => choose(event.currentTarget.value)}>
        {models.map((model) => (
          <option key={keyOf(model)} value={keyOf(model)}>
            {model.name}, version {model.version}
          </option>
        ))}
      </select>
    </label>
  );
}

const STATES: Record<Server['state'], string> = {
  connecting: 'connecting',
  loading: 'loading',
  ready: 'ready',
  gone: 'no answer',
};

function Light({ server }: { server: Server }) {
  return <span class={`light ${server.state}`}>{STATES[server.state]}</span>;
}

function Unready({ server: { state, samples } }: { server: Server }) {
  return (
    <div role="status">
      {state === 'loading' && <p class="status">The server is loading its model. It will be ready in a moment.</p>}
      {state === 'gone' && (
        <p class="status">
          The server does not answer. This page tries again every two seconds, and continues when it is back.
        </p>
      )}
      {samples.at(-1)?.left_out.map(({ name, version, reason }) => (
        <p key={keyOf({ name, version })} class="status">
          The model {name}
          {version && `, version ${version},`} could not be loaded: {reason}
        </p>
      ))}
    </div>
  );
}
