/**
 * The description beside a model that does not describe itself: `config.json` in its folder or, in a repository, in the folder above. Either
 * ours, or Hugging Face's (`id2label`, with `preprocessor_config.json`), as its exporter leaves them beside `model.onnx`.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { CROP_COUNTS } from '../../model/crops.js';
import { UserError } from '../../model/errors.js';

const Colour = z.tuple([z.number(), z.number(), z.number()]);
const Pixels = z.int().min(1).max(4096);
const NonZero = z.number().refine((value) => value !== 0, 'expected another number than 0');
const Labels = z.array(z.string()).min(1);

const Input = z.strictObject({
  /** Side of the model's input, pixels, where its shape leaves that free. */
  size: Pixels.optional(),
  /** The short side is resized to this before the crops are cut; as 256 is to 224 by default. */
  resize: Pixels.optional(),
  /** Where the shape does not tell. */
  layout: z.enum(['NCHW', 'NHWC']).optional(),
  channels: z.enum(['RGB', 'BGR']).default('RGB'),
  /** Values of float32 inputs are (x · scale − mean) / std for x in 0 … 255. */
  scale: NonZero.default(1 / 255),
  mean: Colour.default([0, 0, 0]),
  std: z.tuple([NonZero, NonZero, NonZero]).default([1, 1, 1]),
});

export const ModelConfig = z.strictObject({
  /** One a class, or the name of a text file beside, a label a line; class numbers where absent. */
  labels: z.union([Labels, z.string()]).optional(),
  synsets: Labels.optional(),
  input: Input.prefault({}),
  /** Their probabilities are averaged; see `cropsOf`. */
  crops: z.literal(CROP_COUNTS).default(1),
  output: z
    .strictObject({
      /** Where the model has several. */
      name: z.string().optional(),
      /** Default: softmax, unless the graph ends with one. */
      activation: z.enum(['softmax', 'none']).optional(),
    })
    .prefault({}),
});

export type ModelConfig = Omit<z.infer<typeof ModelConfig>, 'labels'> & { labels?: string[] };

/**
 * @param model  path of the `.onnx` file
 * @returns      undefined where there is none
 * @throws {UserError} where it cannot be read or does not describe a classifier
 */
export async function readModelConfig(model: string): Promise<ModelConfig | undefined> {
  const folder = dirname(model);
  const candidates = [folder, ...(/^\d+$/.test(basename(folder)) ? [dirname(folder)] : [])];
  for (const candidate of candidates) {
    const file = join(candidate, 'config.json');
    const config = await readJson(file);
    if (config === undefined) continue;
    if (typeof config === 'object' && config !== null && 'id2label' in config) {
      return fromHuggingFace(file, config, await readJson(join(candidate, 'preprocessor_config.json')));
    }
    const { labels, ...parsed } = parse(ModelConfig, file, config);
    return {
      ...parsed,
      labels: typeof labels === 'string' ? await readLabels(join(candidate, basename(labels))) : labels,
    };
  }
  return undefined;
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}

async function readLabels(file: string): Promise<string[]> {
  try {
    const lines = (await readFile(file, 'utf8')).split(/\r?\n/);
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  } catch (cause) {
    throw new UserError(`${file}: the labels cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}

function parse<T extends z.ZodType>(schema: T, file: string, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new UserError(`${file}: ${path.join('.') || 'the whole'}: ${message}`);
}

const Side = z.union([
  Pixels,
  z.object({ height: Pixels, width: Pixels }).transform(({ height }) => height),
  z.object({ shortest_edge: Pixels }).transform(({ shortest_edge }) => shortest_edge),
]);

/** What of transformers' files is needed; the rest is the network's own. */
const HubConfig = z.object({ id2label: z.record(z.string().regex(/^\d+$/), z.string()) });
const HubPreprocessor = z.object({
  size: Side.default(224),
  do_center_crop: z.boolean().nullish(),
  crop_size: Side.nullish(),
  crop_pct: z.number().positive().nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: NonZero.default(1 / 255),
  do_normalize: z.boolean().nullish(),
  image_mean: Colour.nullish(),
  image_std: z.tuple([NonZero, NonZero, NonZero]).nullish(),
});

function fromHuggingFace(file: string, config: unknown, preprocessor: unknown): ModelConfig {
  const { id2label } = parse(HubConfig, file, config);
  const labels = Object.keys(id2label).map((_, index) => id2label[index]);
  if (labels.includes(undefined as never)) throw new UserError(`${file}: id2label: expected the numbers from 0 on`);
  const beside = join(dirname(file), 'preprocessor_config.json');
  if (preprocessor === undefined)
    throw new UserError(`${beside}: missing; it says how pictures become the model's input`);
  const given = parse(HubPreprocessor, beside, preprocessor);
  const size = (given.do_center_crop && given.crop_size) || given.size;
  const normalized = given.do_normalize !== false;
  return {
    labels,
    input: {
      size,
      resize: given.crop_pct ? Math.round(size / given.crop_pct) : Math.max(size, given.size),
      channels: 'RGB',
      scale: given.do_rescale === false ? 1 : given.rescale_factor,
      mean: (normalized && given.image_mean) || [0, 0, 0],
      std: (normalized && given.image_std) || [1, 1, 1],
    },
    crops: 1,
    output: {},
  };
}
