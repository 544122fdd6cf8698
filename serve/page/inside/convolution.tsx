/** What a convolution does, under the mouse: the window, the kernel, their products and the sum. */

import { useMemo, useState } from 'preact/hooks';
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { significant } from '../parts/numbers.js';
import { type Size, Window } from '../parts/window.js';
import type { Layer, Layers } from '../server/answers.js';
import { ask, whole } from '../server/request.js';
import type { Tensor } from '../server/safetensors.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import type { LayerViewProps } from './activations.js';
import { CLASSICS, convolve, type Kernel, type Pixels, placeOf, productsAt, sum } from './convolve.js';
import { fetchKernels } from './kernels.js';
import { pixelsOf } from './maps.js';
import { mapsOf } from './statistics.js';
import { kernelColours, Tile, windowColours } from './tile.js';
import { usePixels } from './use-pixels.js';

/** Windows without gaps, as the panel draws them. */
export function isPlain({ window }: Layer): boolean {
  return window?.dilations.every((one) => one === 1) ?? false;
}

export function Convolution(props: LayerViewProps) {
  const { layer, subject } = props;
  const { image, target, crop, epoch } = subject;
  const running = useTask(
    async (signal) => ({
      kernels: asKernels(layer, (await fetchKernels(layer, target, signal)).kernels),
      pixels: await pixelsSeen(subject, signal),
    }),
    [image, target, crop?.number, epoch],
    image !== undefined && crop !== undefined,
  );
  return (
    <View
      title="What a convolution does"
      note={
        <p>
          The kernel lies on the image at one place; each of its numbers is multiplied by the pixel under it, and the
          sum is one pixel of the map. Then it moves on by {[...new Set(layer.window?.strides)].join(' × ')}. Kernels
          made by hand blur and sharpen photographs; those of {layer.name} were learnt, and are the numbers of this
          file.
        </p>
      }
    >
      <Answer of={running} working="Fetching the numbers">
        {(numbers) => <Panel {...props} {...numbers} />}
      </Answer>
    </View>
  );
}

function asKernels({ name, window }: Layer, tensor: Tensor): Kernel[] {
  const [, , height, width] = tensor.shape;
  const { strides, pads } = window!;
  return mapsOf(tensor).map((values, i) => ({
    name: `${name}, ${i}`,
    values,
    height,
    width,
    strides: [strides[0], strides[1]],
    pads: [pads[0], pads[1]],
  }));
}

/** The crop as the network sees it. */
async function pixelsSeen({ image, crop, target }: Subject, signal: AbortSignal): Promise<ImageData> {
  const response = await ask('explain/picture', { crop: crop?.number, ...target }, signal, image!.blob);
  const bitmap = await createImageBitmap(await whole(response.blob()));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

interface PanelProps extends LayerViewProps {
  kernels: Kernel[];
  pixels: ImageData;
}

function Panel({ layers, layer, activations: { task }, channel = 0, setChannel, kernels, pixels }: PanelProps) {
  const [classic, setClassic] = useState<string>();
  const kernel = CLASSICS.find(({ name }) => name === classic) ?? kernels[channel];
  const [rows, columns] = classic ? [pixels.height, pixels.width] : layer.output.slice(1);
  const [[y, x], setPlace] = useState([0.4, 0.4]);
  const cell = (share: number, count: number) => Math.floor(Math.min(Math.max(share, 0), 0.9999) * count);
  const [row, column] = [cell(y, rows), cell(x, columns)];
  const map = useMemo(
    () => imageOf(convolve(pixels, kernel, [rows, columns]), rows, columns),
    [pixels, kernel, rows, columns],
  );
  const move = (nextY: number, nextX: number) => {
    if (cell(nextY, rows) !== row || cell(nextX, columns) !== column) setPlace([nextY, nextX]);
  };
  const { name, height, width } = kernel;
  const [top, left] = placeOf(kernel, row, column);
  const pick = (value: string) => {
    const number = Number(value);
    setClassic(Number.isNaN(number) ? value : undefined);
    if (!Number.isNaN(number)) setChannel(number);
  };
  const values = task.state === 'done' && !classic && task.value.get(layer.name)?.values;
  return (
    <>
      <div class="fields">
        <KernelChoice value={classic ?? String(channel)} kernels={kernels} pick={pick} />
        <Place label="Row" value={row} count={rows} set={(next) => move((next + 0.5) / rows, x)} />
        <Place label="Column" value={column} count={columns} set={(next) => move(y, (next + 0.5) / columns)} />
      </div>
      <div class="panel">
        <Field pixels={pixels} window={{ top, left, height, width }} move={move} label="The image; move over it" />
        <Field
          pixels={map}
          window={{ top: row, left: column, height: 1, width: 1 }}
          move={move}
          label={`The sums of ${name}, at all places`}
        />
      </div>
      <Steps pixels={pixels} kernel={kernel} row={row} column={column} />
      {values && (
        <p>
          The map of {layer.name} has {significant(values[(channel * rows + row) * columns + column])} there
          {besides(layers, layer, kernels)}.
        </p>
      )}
    </>
  );
}

/** What the network does besides the sum, as the rest of a sentence. */
function besides({ preparation }: Layers, { parameters, activation }: Layer, kernels: Kernel[]): string {
  const weights = kernels.reduce((total, { values }) => total + values.length, 0);
  const steps = [
    preparation && `each level x of a pixel becomes ${preparation} first`,
    parameters > weights && 'a bias is added',
    activation === 'Relu' && 'ReLU turns negative sums into 0',
  ].filter((step) => typeof step === 'string');
  return steps.length > 0 ? `: ${new Intl.ListFormat('en').format(steps)}` : '';
}

interface KernelChoiceProps {
  value: string;
  kernels: Kernel[];
  /** @param value  name of a classic one, or number of the layer's */
  pick(value: string): void;
}

function KernelChoice({ value, kernels, pick }: KernelChoiceProps) {
  return (
    <label>
      Kernel
      <select value={value} onChange={({ currentTarget }) => pick(currentTarget.value)}>
        {CLASSICS.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
        {kernels.map(({ name }, i) => (
          <option key={name} value={i}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Steps({ pixels, kernel, row, column }: { pixels: Pixels; kernel: Kernel; row: number; column: number }) {
  const { name, height, width } = kernel;
  const [top, left] = placeOf(kernel, row, column);
  const products = productsAt(pixels, kernel, row, column);
  return (
    <div class="panel steps">
      <Tile label="Window" size={[height, width]} colours={windowColours(pixels, kernel, top, left)} sign="×" />
      <Tile label={`Kernel ${name}`} size={[height, width]} colours={kernelColours(kernel)} sign="=" />
      <Tile label="Products, colours added" size={[height, width]} values={products} sign="Σ" />
      <p class="sum">
        {significant(sum(products))}
        <span class="number">sum of {3 * height * width} products</span>
      </p>
    </div>
  );
}

interface PlaceProps {
  label: string;
  value: number;
  count: number;
  set(value: number): void;
}

function Place({ label, value, count, set }: PlaceProps) {
  return (
    <label>
      {label}
      <input
        type="range"
        min={0}
        max={count - 1}
        value={value}
        onInput={({ currentTarget }) => set(Number(currentTarget.value))}
      />
    </label>
  );
}

function imageOf(map: Float32Array, rows: number, columns: number): ImageData {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of map) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return pixelsOf(map, [rows, columns], { low, high });
}

interface FieldProps {
  pixels: ImageData;
  window: Size & { top: number; left: number };
  /** Shares of the height and the width. */
  move(y: number, x: number): void;
  label: string;
}

function Field({ pixels, window, move, label }: FieldProps) {
  const canvas = usePixels(() => pixels, [pixels]);
  const follow = ({ offsetX, offsetY }: PointerEvent) =>
    move(offsetY / canvas.current!.clientHeight, offsetX / canvas.current!.clientWidth);
  return (
    <figure>
      <div class="sheet">
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${label}; Row and Column above do the same`}
          onPointerMove={follow}
          onPointerDown={follow}
        />
        <Window class="frame" {...window} on={pixels} />
      </div>
      <figcaption>{label}</figcaption>
    </figure>
  );
}
