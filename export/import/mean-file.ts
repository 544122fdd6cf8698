/** A mean image as Caffe has it: `.binaryproto`, a blob, or `.npy`; its channels are in the network's order. */
import { UserError } from '../../base/errors.js';
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';
import { transpose } from '../../onnx/layout.js';
import { tensorOf } from './caffe/caffe-net.js';
import { decode, readWhole } from './caffe/caffemodel.js';
import { BLOB, type BlobMessage } from './caffe/schema.js';
import type { Rgb } from './normalisation.js';
import { openNpy } from './numpy/numpy-file.js';

export interface MeanImage {
  /** R, G, B, averaged over the image. */
  colour: Rgb;
  /** [side, side, 3], R, G, B; absent if the file has one colour, or an image of another shape. */
  pixels?: { side: number; values: Float32Array };
}

export const isMeanFile = (text: string): boolean => /\.(binaryproto|npy)$/i.test(text);

/** @throws {UserError} if it holds no image of three channels */
export async function readMeanFile(path: string, channelOrder: 'rgb' | 'bgr'): Promise<MeanImage> {
  const stored = await openMean(path);
  const dims = stored.dims[0] === 1 && stored.dims.length === 4 ? stored.dims.slice(1) : stored.dims;
  const [channels, height = 1, width = 1] = dims;
  if (channels !== 3 || (dims.length !== 1 && dims.length !== 3)) {
    throw new UserError(`${path}: expected a mean of [3], or [3, height, width], got [${stored.dims.join(', ')}]`);
  }
  const values = transpose(await stored.read(), [3, height, width], [1, 2, 0]);
  if (channelOrder === 'bgr') {
    for (let i = 0; i < values.length; i += 3) [values[i], values[i + 2]] = [values[i + 2], values[i]];
  }
  const sums = [0, 0, 0];
  for (const [i, value] of values.entries()) sums[i % 3] += value;
  const colour = sums.map((sum) => sum / (height * width)) as Rgb;
  if (!colour.every(Number.isFinite)) throw new UserError(`${path}: expected finite numbers, got a mean of ${colour}`);
  return dims.length === 3 && height === width ? { colour, pixels: { side: height, values } } : { colour };
}

async function openMean(path: string): Promise<StoredTensor> {
  if (!/\.npy$/i.test(path)) return tensorOf(path, 'mean', decode<BlobMessage>(path, BLOB, await readWhole(path)), 3);
  const [array, ...more] = await openNpy(path);
  if (more.length === 0) return array;
  throw new UserError(`${path}: expected one array, the mean, got ${more.length + 1}`);
}
