/** How images become the input of a model that config.json describes. */
import { UserError } from '../../../base/errors.js';
import type { Decoding } from '../../../base/image/fit.js';
import type { Size } from '../../../base/image/resample.js';
import { CHANNELS, type Channels, layoutOf } from '../../../onnx/file/channels.js';
import type { FirstReader } from '../../../onnx/file/first-reader.js';
import { describeTensor, type NamedSpec } from '../../tensors.js';
import type { ImageRecipe } from '../image/image-tensor.js';
import type { ModelConfig } from './model-config.js';

/** What is taken for an image, for messages. */
export const INPUT = 'float32, float16 or uint8 with four axes';

/** Channels by their number. */
const BY_COUNT: Record<number, Channels> = { 1: 'GREY', 3: 'RGB', 4: 'RGBA' };

/**
 * @param reader  the convolution that reads the input, if there is one
 * @throws {UserError} if the input is not an image's, or is not what config.json says
 */
export function imageRecipe(
  config: ModelConfig,
  spec: NamedSpec,
  reader: FirstReader | undefined,
  file: string,
): ImageRecipe {
  const { datatype, shape } = spec;
  if (shape.length !== 4 || !(datatype === 'UINT8' || datatype === 'FP32' || datatype === 'FP16')) {
    throw new UserError(`${file}: expected one input, ${INPUT}, got ${describeTensor(spec)}`);
  }
  const layout = config.input.layout ?? layoutOf(shape) ?? reader?.layout ?? config.input.usualLayout;
  if (!layout) {
    throw new UserError(
      `${file}: the input ${describeTensor(spec)} does not tell NCHW from NHWC; give input.layout in config.json`,
    );
  }
  const [channelAxis, height, width] = layout === 'NCHW' ? [1, shape[2], shape[3]] : [3, shape[1], shape[2]];
  const count = shape[channelAxis] === -1 ? (reader?.channels ?? -1) : shape[channelAxis];
  const channels = channelsOf(config, count, spec, file);
  const input = inputSize({ width, height }, config, spec, file);
  const decoding = decodingOf(config, input, channels, file);
  if (config.crops !== 1 && (input.width !== input.height || decoding.width !== decoding.height)) {
    throw new UserError(`${file}: config.json: crops: expected 1 for an input that is not square, got ${config.crops}`);
  }
  const values = CHANNELS[channels];
  return {
    datatype,
    layout,
    channels,
    decoding,
    input,
    crops: config.crops,
    scale: config.input.scale,
    mean: perChannel('mean', config.input.mean, values, file),
    std: perChannel('std', config.input.std, values, file),
  };
}

function channelsOf({ input: { channels } }: ModelConfig, count: number, spec: NamedSpec, file: string): Channels {
  const told = channels ?? (count === -1 ? 'RGB' : BY_COUNT[count]);
  if (told && (count === -1 || CHANNELS[told] === count)) return told;
  const expected = channels ? `${CHANNELS[channels]} channels, ${channels} in config.json` : '1, 3 or 4 channels';
  throw new UserError(`${file}: expected ${expected}, got the input ${describeTensor(spec)}`);
}

/** Lengths that the shape states, else config.json's. */
function inputSize(stated: Size, { input: { size } }: ModelConfig, spec: NamedSpec, file: string): Size {
  const width = stated.width === -1 ? (size?.width ?? stated.height) : stated.width;
  const height = stated.height === -1 ? (size?.height ?? stated.width) : stated.height;
  if (width === -1 || height === -1) {
    throw new UserError(`${file}: leaves the size of its input free; give input.size in config.json`);
  }
  if (size && (size.width !== width || size.height !== height)) {
    throw new UserError(
      `${file}: the description next to it says ${size.width} × ${size.height} pixels (width × height), got the input ${describeTensor(spec)}`,
    );
  }
  return { width, height };
}

/** Short side of the image to that of the input by default: 256 to 224. */
const MARGIN = 256 / 224;

function decodingOf({ input: given, crops }: ModelConfig, input: Size, channels: Channels, file: string): Decoding {
  const { resize, resampling, shortSide, oddMargin } = given;
  if (resampling && channels === 'RGBA') {
    throw new UserError(
      `${file}: config.json: input.resample: expected none for an input with alpha, got ${resampling}`,
    );
  }
  const rest = { channels: channels === 'RGBA' ? 4 : 3, resampling, oddMargin } as const;
  if (resize === 'keep' || resize === 'exact') return { ...input, fit: resize, ...rest };
  if (typeof resize === 'object') {
    requireRoom(resize, input, file);
    return { ...resize, fit: 'stretch', ...rest };
  }
  if (shortSide !== undefined) return { ...input, fit: 'cut', shortSide, ...rest };
  const factor = resize === undefined ? MARGIN : resize / Math.min(input.width, input.height);
  const image = { width: Math.round(input.width * factor), height: Math.round(input.height * factor) };
  requireRoom(image, input, file);
  // Ours with a filter of Pillow's describes torchvision's transforms, which cut once.
  const evenStart = resampling !== undefined && oddMargin === undefined;
  const cutsTwiceAlike = (image.width - input.width) % 4 === 0 || input.width !== input.height;
  if (evenStart && crops === 1 && !cutsTwiceAlike)
    return { ...input, fit: 'cut', shortSide: image.width, ...rest, evenStart };
  return { ...image, fit: 'cut', ...rest, ...(evenStart && { evenStart }) };
}

function requireRoom(image: Size, input: Size, file: string): void {
  if (image.width >= input.width && image.height >= input.height) return;
  const [got, model] = [image, input].map(({ width, height }) => (width === height ? width : `${width} × ${height}`));
  throw new UserError(
    `${file}: the image is resized to ${got} pixels; expected at least the model's ${model}: see input.resize, or size and crop_size`,
  );
}

/** One for all channels, or equal ones, fit any number of them. */
function perChannel(name: string, values: readonly number[], count: number, file: string): number[] {
  if (values.length === count) return [...values];
  if (values.every((value) => value === values[0])) return Array(count).fill(values[0]);
  throw new UserError(
    `${file}: the description next to it: ${name}: expected ${count} numbers, one per channel, got ${values.length}`,
  );
}
