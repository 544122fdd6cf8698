/**
 * Local response normalisation at one position: a channel and its neighbours before and after, the formula with their
 * numbers.
 */
import { useState } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { NormalisationFormula } from '../parts/formulas.js';
import type { Layer, Normalised } from '../server/answers.js';
import { askJson } from '../server/request.js';
import type { Tensor } from '../server/safetensors.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { activationsOf, NoImage } from './activations.js';
import { BeforeAfter } from './before-after.js';
import { NeighbourTable } from './neighbour-table.js';
import { SixFilters } from './six-filters.js';

/** Undefined: where the channel is largest, which the server finds. */
type Position = { y: number; x: number } | undefined;

interface NormalisationProps {
  layer: Layer;
  channel: number | undefined;
  setChannel(channel: number): void;
  subject: Subject;
}

export function Normalisation(props: NormalisationProps) {
  const { layer, subject } = props;
  return (
    <View
      title="Response normalisation"
      note={
        <>
          <p>
            Why: a channel that shouts makes its neighbours quieter, so that the strongest at a place stands out; in the
            paper that lowered the top-5 error by 1.2 points (§3.3). Each activation is divided by a power of the sum of
            squares over its neighbours: the same position in channels near by.
          </p>
          <NormalisationFormula />
          <p>
            ONNX writes α/n where the paper has α. The paper’s numbers are k = 2, n = 5, α = 10<sup>−4</sup>, β = 0.75.
          </p>
        </>
      }
    >
      {layer.lrn && <SixFilters lrn={layer.lrn} />}
      {subject.image ? <OfLayer {...props} /> : <NoImage />}
    </View>
  );
}

function OfLayer({ layer, channel, setChannel, subject }: NormalisationProps) {
  const { image, target, crop, epoch } = subject;
  const [position, setPosition] = useState<Position>();
  const needs = [image, target, crop?.number, layer.name, epoch];
  const numbers = useTask(
    (signal) =>
      askJson<Normalised>(
        'explain/lrn',
        { layer: layer.name, crop: crop?.number, channel, ...position, ...target },
        signal,
        image!.blob,
      ),
    [...needs, channel, position],
    crop !== undefined && channel !== undefined,
  );
  return (
    <>
      <div class="fields">
        {numbers.task.state === 'done' && (
          <PositionFields at={numbers.task.value} setChannel={setChannel} setPosition={setPosition} />
        )}
      </div>
      <Answer of={numbers} working={`Computing ${layer.name}`}>
        {(at) => (
          <>
            <Maps at={at} needs={needs} subject={subject} setPosition={setPosition} />
            <NeighbourTable at={at} />
          </>
        )}
      </Answer>
    </>
  );
}

interface PositionFieldsProps {
  at: Normalised;
  setChannel(channel: number): void;
  setPosition(position: Position): void;
}

function PositionFields({ at, setChannel, setPosition }: PositionFieldsProps) {
  const { channel, y, x, shape } = at;
  const field = (label: string, value: number, length: number, set: (value: number) => void) => (
    <label>
      {label}, 0 to {length - 1}
      <input
        type="number"
        min={0}
        max={length - 1}
        value={value}
        onChange={({ currentTarget: input }) => {
          if (input.validity.valid && input.value !== '') set(Number(input.value));
        }}
      />
    </label>
  );
  return (
    <>
      {field('Channel', channel, shape[0], setChannel)}
      {field('Row', y, shape[1], (row) => setPosition({ y: row, x }))}
      {field('Column', x, shape[2], (column) => setPosition({ y, x: column }))}
      <button type="button" onClick={() => setPosition(undefined)}>
        Where it is largest
      </button>
    </>
  );
}

interface MapsProps {
  at: Normalised;
  needs: unknown[];
  subject: Subject;
  setPosition(position: Position): void;
}

function Maps({ at, needs, subject, setPosition }: MapsProps) {
  const running = useTask(
    (signal): Promise<Map<string, Tensor>> => activationsOf([at.input, at.layer], subject, signal),
    [...needs, at.input],
    true,
  );
  return (
    <Answer of={running} working="Fetching the maps">
      {(tensors) => (
        <BeforeAfter
          at={at}
          before={tensors.get(at.input)!}
          after={tensors.get(at.layer)!}
          choose={(y, x) => setPosition({ y, x })}
        />
      )}
    </Answer>
  );
}
