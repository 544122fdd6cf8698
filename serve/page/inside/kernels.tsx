/** The kernels of the first convolution as pictures, as in the paper's Figure 3. */
import { useEffect } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import type { Layers } from '../server/answers.js';
import { ask, path } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';

/** As the server says it beside the picture. */
interface Drawn {
  url: string;
  layer: string;
  count: number;
  groups: number;
}

export function Kernels({ layers, subject: { target, epoch } }: { layers: Layers; subject: Subject }) {
  const layer = layers.layers.find(({ views }) => views.includes('kernels'));
  const running = useTask(
    async (signal): Promise<Drawn> => {
      const response = await ask('explain/kernels', { layer: layer!.name, ...target }, signal);
      const said = JSON.parse(response.headers.get('x-kernels')!) as Omit<Drawn, 'url'>;
      return { ...said, url: URL.createObjectURL(await response.blob()) };
    },
    [layer?.name, target, epoch],
    layer !== undefined,
  );
  const { task } = running;
  useEffect(() => {
    const drawn = task.state === 'done' ? task.value : undefined;
    return () => drawn && URL.revokeObjectURL(drawn.url);
  }, [task]);
  if (!layer) return null;
  const side = layer.window!.kernel.join(' × ');
  return (
    <View
      title={`Kernels of ${layer.name}`}
      note={
        <>
          <p>
            What the first layer looks for, each as the picture that excites it most. Networks trained on photographs
            learn edges of every direction and spots of colour (§6.1, Figure 3).
          </p>
          <p>
            In the paper the two GPUs came to differ: one learnt kernels without colour, the other with. Groups stand
            apart here too, where the file has them (§3.2).
          </p>
        </>
      }
    >
      <Answer of={running} working="Drawing the kernels">
        {({ url, count, groups }) => (
          <figure class="kernels">
            <img src={url} alt={`${count} kernels of ${side} pixels${groups > 1 ? ` in ${groups} groups` : ''}`} />
            <figcaption>
              {count} kernels of {side} × {layer.input[0]}
              {groups > 1 && `; ${groups} groups, each read by one half of the next convolution`}. Each between its own
              least and largest weight.{' '}
              <a href={path('explain/kernels', { layer: layer.name, format: 'svg', ...target })}>SVG</a>,{' '}
              <a href={path('explain/kernels', { layer: layer.name, format: 'safetensors', ...target })}>numbers</a>
            </figcaption>
          </figure>
        )}
      </Answer>
    </View>
  );
}
