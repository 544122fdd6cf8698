/**
 * The kernels of the first convolution as images, as in the paper's Figure 3: groups apart, each kernel over its own
 * range.
 */
import { useEffect, useRef } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import type { Layer } from '../server/answers.js';
import { ask, path, type Target, whole } from '../server/request.js';
import { readSafetensors, type Tensor } from '../server/safetensors.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { type Sheet, sheetOf, tileAt } from './maps.js';
import { mapsOf } from './statistics.js';
import { Frame } from './tile-sheet.js';
import { Training } from './training.js';

/** As in Figure 3: 48 a GPU in three rows. */
const COLUMNS = 16;

interface KernelsProps {
  layer: Layer;
  channel: number | undefined;
  setChannel(channel: number): void;
  subject: Subject;
}

export function Kernels({ layer, channel, setChannel, subject: { target, epoch } }: KernelsProps) {
  const query = { layer: layer.name, ...target };
  const running = useTask((signal) => fetchKernels(layer, target, signal), [layer.name, target, epoch], true);
  return (
    <View
      title={`Kernels of ${layer.name}`}
      note={
        <p>
          What the first layer looks for. Networks trained on photographs learn edges of every direction and spots of
          colour (§6.1, Figure 3). Groups stand apart, where the file has them (§3.2): in the paper one learnt kernels
          without colour, the other with.
        </p>
      }
    >
      <Answer of={running} working="Fetching the kernels">
        {({ groups, kernels }) => (
          <>
            {Array.from({ length: groups }, (_, group) => (
              <Group
                key={group}
                layer={layer}
                kernels={kernels}
                group={group}
                groups={groups}
                chosen={channel}
                choose={setChannel}
              />
            ))}
            <Training kernels={kernels} />
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

/** @throws as `ask` */
export async function fetchKernels(layer: Layer, target: Target, signal: AbortSignal) {
  const response = await ask('explain/kernels', { layer: layer.name, ...target, format: 'safetensors' }, signal);
  const { metadata, tensors } = readSafetensors(await whole(response.arrayBuffer()));
  return { groups: Number(metadata.groups), kernels: tensors.get(layer.name)! };
}

interface GroupProps {
  layer: Layer;
  /** [kernels, 3, height, width] */
  kernels: Tensor;
  group: number;
  groups: number;
  chosen: number | undefined;
  choose(kernel: number): void;
}

function Group({ layer, kernels, group, groups, chosen, choose }: GroupProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [count, , height, width] = kernels.shape;
  const each = count / groups;
  const sheet = sheetOf(each, [height, width], Math.min(COLUMNS, each));
  useEffect(() => {
    const own = mapsOf(kernels).slice(group * each, (group + 1) * each);
    drawKernels(canvas.current!, own, [height, width], sheet);
  }, [kernels]);
  const here = (chosen ?? -1) - group * each;
  const which = groups > 1 ? `group ${group + 1} of ${groups}, ` : '';
  const said = `${layer.name}, ${which}kernels ${group * each} to ${(group + 1) * each - 1}, ${height} × ${width} pixels each`;
  return (
    <figure class="kernels">
      <div class="sheet">
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${said}; their numbers can be downloaded below`}
          onClick={({ offsetX, offsetY }) => {
            const { clientWidth, clientHeight } = canvas.current!;
            const index = tileAt(sheet, offsetX / clientWidth, offsetY / clientHeight);
            if (index < each) choose(group * each + index);
          }}
        />
        {here >= 0 && here < each && <Frame sheet={sheet} index={here} size={[height, width]} />}
      </div>
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
