/**
 * Response normalisation at one place of an image: what the file gives there, the neighbouring channels, and the
 * formula with their numbers.
 */
import { RequestError } from '../../errors.js';
import { position } from './find-layer.js';
import type { LrnConstants } from './layer-table.js';
import type { Values } from './run-rows.js';

export interface LrnPlace {
  channel?: number;
  y?: number;
  x?: number;
}

export interface LrnView {
  channel: number;
  y: number;
  x: number;
  shape: number[];
  lrn: LrnConstants;
  /** The channels summed over, in order. */
  neighbours: { channel: number; before: number; square: number; after: number }[];
  sum_of_squares: number;
  /** k + α/n · Σ a² */
  scale: number;
  /** The same to the power of β. */
  denominator: number;
  before: number;
  /** As onnxruntime computed it. */
  after: number;
  formula: string;
  filled: string;
}

/**
 * @param before  values of one crop that are normalised, [1, C, H, W]
 * @param after   the layer's
 * @param place   default: where the largest value is, of the channel if that is given
 * @throws {RequestError} BAD_REQUEST if it lies outside
 */
export function lrnAt(before: Values, after: Values, lrn: LrnConstants, place: LrnPlace): LrnView {
  const [, channels, height, width] = before.shape;
  if (width === undefined || String(before.shape) !== String(after.shape)) {
    throw new RequestError('VIEW_UNAVAILABLE', 'the layer does not normalise maps of channels');
  }
  const plane = height * width;
  const channel = position('channel', place.channel, channels, Math.floor(indexOfLargest(before.data) / plane));
  const largest = indexOfLargest(before.data.subarray(channel * plane, (channel + 1) * plane));
  const y = position('y', place.y, height, Math.floor(largest / width));
  const x = position('x', place.x, width, largest % width);
  // ONNX: from c − ⌊(n − 1)/2⌋ to c + ⌈(n − 1)/2⌉, clipped.
  const first = Math.max(0, channel - Math.floor((lrn.size - 1) / 2));
  const last = Math.min(channels - 1, channel + Math.ceil((lrn.size - 1) / 2));
  const at = (values: Values, c: number) => values.data[c * plane + y * width + x];
  const neighbours = Array.from({ length: last - first + 1 }, (_, i) => {
    const a = at(before, first + i);
    return { channel: first + i, before: a, square: a * a, after: at(after, first + i) };
  });
  const sum = neighbours.reduce((total, { square }) => total + square, 0);
  const scale = lrn.bias + (lrn.alpha / lrn.size) * sum;
  const denominator = scale ** lrn.beta;
  const own = at(before, channel);
  return {
    channel,
    y,
    x,
    shape: [channels, height, width],
    lrn,
    neighbours,
    sum_of_squares: sum,
    scale,
    denominator,
    before: own,
    after: at(after, channel),
    formula: 'b = a / (k + α/n · Σ a²)^β',
    filled: `${text(own)} / (${lrn.bias} + ${lrn.alpha}/${lrn.size} · ${text(sum)})^${lrn.beta} = ${text(own / denominator)}`,
  };
}

function indexOfLargest(values: Float32Array): number {
  return values.indexOf(values.reduce((a, b) => Math.max(a, b)));
}

/** Six digits are about what float32 holds. */
function text(value: number): string {
  return String(Number(value.toPrecision(6)));
}
