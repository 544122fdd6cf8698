/** The description of a classifier as a schema: what config.json, or a file itself, says of images and output. */
import { z } from 'zod';
import { CROP_COUNTS } from '../../base/crops.js';
import { UserError } from '../../base/errors.js';
import { RESAMPLINGS } from '../../base/image/resample.js';
import { CHANNELS, type Channels } from './channels.js';

export const ACTIVATIONS = ['softmax', 'sigmoid', 'none'] as const;

export const Pixels = z.int().min(1).max(4096);
export const NonZero = z.number().refine((value) => value !== 0, 'expected a number other than 0');
export const Labels = z.array(z.string()).min(1);

const Sides = z.strictObject({ width: Pixels, height: Pixels });
/** One for all channels, or one for each. */
const perChannel = (value: z.ZodType<number>) =>
  z.preprocess((given) => (typeof given === 'number' ? [given] : given), z.array(value).min(1).max(4));

export const Input = z.strictObject({
  /** The model's input, pixels, where its shape leaves that free. */
  size: z.union([Pixels, Sides]).optional(),
  /**
   * The short side is resized to this before the crops are cut, as 256 is to 224 by default; width and height:
   * stretched to them.
   */
  resize: z.union([Pixels, Sides]).optional(),
  /** As Pillow resizes, with its filter of that name; by default as in training. */
  resample: z.enum(RESAMPLINGS).optional(),
  /** Where the shape does not tell. */
  layout: z.enum(['NCHW', 'NHWC']).optional(),
  /** Default: GREY, RGB or RGBA, by the number of channels. */
  channels: z.enum(Object.keys(CHANNELS) as [Channels, ...Channels[]]).optional(),
  /** Values of float32 inputs are (x · scale − mean) / std for x in 0 … 255. */
  scale: NonZero.default(1 / 255),
  mean: perChannel(z.number()).default([0]),
  std: perChannel(NonZero).default([1]),
});

export const Output = z.strictObject({
  /** Where the model has several. */
  name: z.string().optional(),
  /** Applied to its values; by default what the graph, or the model's numbers, ask for. */
  activation: z.enum(ACTIVATIONS).optional(),
});

export const OwnConfig = z.strictObject({
  /**
   * One a class, or the name of a file next to it: a label per line, or TorchServe's mapping; if absent, its
   * `index_to_name.json`, else class numbers.
   */
  labels: z.union([Labels, z.string()]).optional(),
  synsets: Labels.optional(),
  input: Input.prefault({}),
  /** Their probabilities are averaged; see `cropsOf`. */
  crops: z.literal(CROP_COUNTS).default(1),
  output: Output.prefault({}),
});

/** Inside a file, next to which there is none with the labels. */
export const InsideConfig = OwnConfig.extend({ labels: Labels.optional() });

export function parse<T extends z.ZodType>(schema: T, file: string, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new UserError(`${file}: ${path.join('.') || 'the whole'}: ${message}`);
}
