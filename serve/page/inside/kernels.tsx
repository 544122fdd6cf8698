/**
 * The kernels of the first convolution as images, as in the paper's Figure 3: groups apart, each kernel over its own
 * range.
 */
import { useEffect, useRef } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import type { Layer, Layers } from '../server/answers.js';
import { ask, path, whole } from '../server/request.js';
import { readSafetensors, type Tensor } from '../server/safetensors.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { type Sheet, sheetOf } from './maps.js';
import { mapsOf } from './statistics.js';

/** As in Figure 3: 48 a GPU in three rows. */
const COLUMNS = 16;

export function Kernels({ layers, subject: { target, epoch } }: { layers: Layers; subject: Subject }) {
  const layer = layers.layers.find(({ views }) => views.includes('kernels'));
  const query = { layer: layer?.name, ...target };
  const running = useTask(
    async (signal) => {
      const response = await ask('explain/kernels', { ...query, format: 'safetensors' }, signal);
      const { metadata, tensors } = readSafetensors(await whole(response.arrayBuffer()));
      return { groups: Number(metadata.groups), kernels: tensors.get(layer!.name)! };
    },
    [layer?.name, target, epoch],
    layer !== undefined,
  );
  if (!layer) return null;
  return (
    <View
      title={`Kernels of ${layer.name}`}
      note={
        <>
          <p>
            What the first layer looks for. Networks trained on photographs learn edges of every direction and spots of
            colour (§6.1, Figure 3); one with random weights shows noise.
          </p>
          <p>
            In the paper the two GPUs came to differ: one learnt kernels without colour, the other with. Groups stand
            apart here too, where the file has them (§3.2).
          </p>
        </>
      }
    >
      <Answer of={running} working="Fetching the kernels">
        {({ groups, kernels }) => (
          <>
            {Array.from({ length: groups }, (_, group) => (
              <Group key={group} layer={layer} kernels={kernels} group={group} groups={groups} />
            ))}
            <p class="aside">
              Also as <a href={path('explain/kernels', { ...query, format: 'svg' })}>SVG</a>,{' '}
              <a href={path('explain/kernels', query)}>PNG</a> and{' '}
              <a href={path('explain/kernels', { ...query, format: 'safetensors' })}>numbers</a>.
            </p>
          </>
        )}
      </Answer>
    </View>
  );
}

interface GroupProps {
  layer: Layer;
  /** [kernels, 3, height, width] */
  kernels: Tensor;
  group: number;
  groups: number;
}

function Group({ layer, kernels, group, groups }: GroupProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [count, , height, width] = kernels.shape;
  const each = count / groups;
  useEffect(() => {
    const own = mapsOf(kernels).slice(group * each, (group + 1) * each);
    drawKernels(canvas.current!, own, [height, width], sheetOf(each, [height, width], Math.min(COLUMNS, each)));
  }, [kernels]);
  const which = groups > 1 ? `group ${group + 1} of ${groups}, ` : '';
  const said = `${layer.name}, ${which}kernels ${group * each} to ${(group + 1) * each - 1}, ${height} × ${width} pixels each`;
  return (
    <figure class="kernels">
      <canvas ref={canvas} role="img" aria-label={`${said}; their numbers can be downloaded below`} />
      <figcaption>{said}</figcaption>
    </figure>
  );
}

/** @param kernels  [3, height, width] each, red first */
function drawKernels(
  canvas: HTMLCanvasElement,
  kernels: Float32Array[],
  [height, width]: number[],
  sheet: Sheet,
): void {
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  const context = canvas.getContext('2d')!;
  for (const [i, kernel] of kernels.entries()) {
    const [low, high] = [Math.min(...kernel), Math.max(...kernel)];
    const image = new ImageData(width, height);
    const plane = height * width;
    for (let pixel = 0; pixel < plane; pixel++) {
      for (let c = 0; c < 3; c++)
        image.data[4 * pixel + c] = (255 * (kernel[c * plane + pixel] - low)) / (high - low || 1);
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, (i % sheet.columns) * sheet.stepX, Math.floor(i / sheet.columns) * sheet.stepY);
  }
}
