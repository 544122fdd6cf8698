/** The second chapter: the network layer by layer, on the image. */
import { useState } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { OnDemand, View } from '../parts/chapter.js';
import type { Layer, Layers } from '../server/answers.js';
import { askJson } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { Activations, activationsOf } from './activations.js';
import { Convolution, isPlain } from './convolution.js';
import { Kernels } from './kernels.js';
import { summary } from './kind.js';
import { LayerTable } from './layer-table.js';
import { Normalisation } from './normalisation.js';
import { Strip } from './strip.js';
import { Strongest } from './strongest.js';

export function Inside({ subject }: { subject: Subject }) {
  return (
    <OnDemand
      id="inside"
      ordinal={2}
      title="Look inside"
      open="Open the network"
      intro={
        <p>
          Every layer turns a stack of maps into another. Here they all are, to scale, with what each makes of your
          image.
        </p>
      }
    >
      <Opened subject={subject} />
    </OnDemand>
  );
}

function Opened({ subject }: { subject: Subject }) {
  const { target, epoch } = subject;
  const running = useTask((signal) => askJson<Layers>('explain/layers', { ...target }, signal), [target, epoch], true);
  return (
    <Answer of={running} working="Reading the network">
      {(layers) => <Views key={`${layers.model.name}/${layers.model.version}`} layers={layers} subject={subject} />}
    </Answer>
  );
}

function Views({ layers, subject }: { layers: Layers; subject: Subject }) {
  const drawn = layers.layers.filter(({ views }) => views.includes('activations'));
  const [name, choose] = useState(drawn[0]?.name);
  const layer = drawn.find((one) => one.name === name);
  return (
    <>
      <View title="The layers" wide note={<p>{summary(layers)} Choose a block to look into it.</p>}>
        <Strip layers={layers} chosen={name} choose={choose} />
        <LayerTable layers={layers} choose={choose} />
      </View>
      {layer && <OfLayer key={layer.name} layers={layers} layer={layer} subject={subject} />}
      {layers.unavailable.map((reason) => (
        <p key={reason} class="aside">
          Not shown: {reason}
        </p>
      ))}
    </>
  );
}

/** All views share the channel. */
function OfLayer({ layers, layer, subject }: { layers: Layers; layer: Layer; subject: Subject }) {
  const { image, target, crop, epoch } = subject;
  const [channel, setChannel] = useState<number>();
  const activations = useTask(
    (signal) => activationsOf([layer.name], subject, signal),
    [image, target, crop?.number, epoch],
    image !== undefined && crop !== undefined,
  );
  const shared = { layers, layer, activations, channel, setChannel, subject };
  const has = (view: string) => layer.views.includes(view);
  return (
    <>
      <Activations {...shared} />
      {has('kernels') && isPlain(layer) && <Convolution {...shared} />}
      {has('kernels') && <Kernels {...shared} />}
      {has('lrn') && <Normalisation {...shared} />}
      {has('strongest') && <Strongest {...shared} />}
    </>
  );
}
