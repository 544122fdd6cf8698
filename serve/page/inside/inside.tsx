/** The second chapter: the network layer by layer, on the image. */
import { useState } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { OnDemand, View } from '../parts/chapter.js';
import type { Layers } from '../server/answers.js';
import { askJson } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { Activations } from './activations.js';
import { Convolution } from './convolution.js';
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
  const [name, setName] = useState(drawn[0]?.name);
  const [channel, setChannel] = useState<number>();
  const layer = drawn.find((one) => one.name === name);
  const choose = (next: string) => {
    setName(next);
    setChannel(undefined);
  };
  return (
    <>
      <View title="The layers" wide note={<p>{summary(layers)} Choose a block to look into it.</p>}>
        <Strip layers={layers} chosen={name} choose={choose} />
        <LayerTable layers={layers} choose={choose} />
      </View>
      {layer && (
        <Activations layers={layers} layer={layer} channel={channel} setChannel={setChannel} subject={subject} />
      )}
      {layer?.views.includes('kernels') && (
        <Convolution layer={layer} channel={channel} setChannel={setChannel} subject={subject} />
      )}
      {layer?.views.includes('kernels') && (
        <Kernels layer={layer} channel={channel} setChannel={setChannel} subject={subject} />
      )}
      {layer?.views.includes('lrn') && <Normalisation key={layer.name} layer={layer} subject={subject} />}
      {layer?.views.includes('strongest') && <Strongest layer={layer} channel={channel} subject={subject} />}
      {layers.unavailable.map((reason) => (
        <p key={reason} class="aside">
          Not shown: {reason}
        </p>
      ))}
    </>
  );
}
