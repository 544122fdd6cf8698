/** What a layer makes of the image: every channel as a tile, one of them large over the image. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { count, percent, shape, significant } from '../parts/numbers.js';
import type { Layer, Layers } from '../server/answers.js';
import { ask, whole } from '../server/request.js';
import { readSafetensors, type Tensor } from '../server/safetensors.js';
import type { Running } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { ChannelTable } from './channel-table.js';
import { Enlarged } from './enlarged.js';
import { isOfClasses, reading } from './kind.js';
import { mapsOf, statisticsOf } from './statistics.js';
import { TileSheet } from './tile-sheet.js';
import { Units } from './units.js';

/** What every view of one layer is given. */
export interface LayerViewProps {
  layers: Layers;
  layer: Layer;
  /** The layer's, by name. */
  activations: Running<Map<string, Tensor>>;
  channel: number | undefined;
  setChannel(channel: number): void;
  subject: Subject;
}

export function Activations(props: LayerViewProps) {
  const { layers, layer, activations, subject } = props;
  return (
    <View
      id="activations"
      title={`What ${layer.name} makes of it`}
      note={reading(layer, layers).map((text) => <p key={text}>{text}</p>)}
    >
      {subject.image ? (
        <Answer of={activations} working={`Computing ${layer.name}`}>
          {(tensors) => {
            const tensor = tensors.get(layer.name)!;
            if (tensor.shape.length === 3) return <Maps {...props} tensor={tensor} />;
            const labels = isOfClasses(layer, layers) ? subject.labels : undefined;
            return <Units {...props} values={tensor.values} labels={labels} />;
          }}
        </Answer>
      ) : (
        <NoImage />
      )}
    </View>
  );
}

export function NoImage() {
  return (
    <p class="status">
      There is no image yet. Give the network one under <a href="#classify">Classify</a>, and what it makes of it
      appears here.
    </p>
  );
}

/** Activations of some layers by name, for the chosen crop. @throws as `ask` */
export async function activationsOf(
  names: readonly string[],
  { image, target, crop }: Subject,
  signal: AbortSignal,
): Promise<Map<string, Tensor>> {
  const query = { layers: names.join(','), crop: crop?.number, ...target };
  const response = await ask('explain/activations', query, signal, image!.blob);
  return readSafetensors(await whole(response.arrayBuffer())).tensors;
}

type MapsProps = Omit<LayerViewProps, 'activations'> & { tensor: Tensor };

function Maps({ tensor, layers, layer, channel, setChannel, subject }: MapsProps) {
  const [own, setOwn] = useState(false);
  const [, , width] = tensor.shape;
  const maps = useMemo(() => mapsOf(tensor), [tensor]);
  const statistics = useMemo(() => maps.map((map) => statisticsOf(map, width)), [maps, width]);
  const strongest = statistics.reduce((best, { largest }, i) => (largest > statistics[best].largest ? i : best), 0);
  const current = channel ?? strongest;
  useEffect(() => {
    if (channel === undefined) setChannel(strongest); // the views below are of it too
  }, [channel, strongest]);
  return (
    <>
      <TileSheet
        label={`${layer.name}: ${count(maps.length)} maps of ${shape(tensor.shape.slice(1))}`}
        maps={maps}
        size={tensor.shape.slice(1)}
        own={own}
        chosen={current}
        choose={setChannel}
      />
      <div class="fields">
        <label>
          Channel, 0 to {maps.length - 1}
          <input
            type="number"
            min={0}
            max={maps.length - 1}
            value={current}
            onInput={({ currentTarget: input }) =>
              input.validity.valid && input.value !== '' && setChannel(Number(input.value))
            }
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={own} onChange={(event) => setOwn(event.currentTarget.checked)} />
          each tile by its own largest value, not by the layer’s
        </label>
      </div>
      <Enlarged layer={layer} layers={layers} map={maps[current]} size={tensor.shape.slice(1)} subject={subject}>
        {layer.name}, channel {current}: largest {significant(statistics[current].largest)} at row{' '}
        {statistics[current].row}, column {statistics[current].column}; mean {significant(statistics[current].mean)};{' '}
        {percent(statistics[current].zeros)} zeros.
      </Enlarged>
      <ChannelTable statistics={statistics} name={layer.name} />
    </>
  );
}
