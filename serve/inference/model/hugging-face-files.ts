/**
 * What Hugging Face's exporter leaves next to a model, as a description of ours: `config.json` (`id2label`) and
 * `preprocessor_config.json`. Its image processors differ in what they do where a key is absent, and in what `size`
 * means: the table has those that classifiers come with.
 */
import { z } from 'zod';
import { UserError } from '../../../base/errors.js';
import type { Size } from '../../../base/image/resample.js';
import { RESAMPLINGS, type Resampling } from '../../../base/image/resample.js';
import { Labels, NonZero, Output, Input as Own, Pixels, parse } from '../../../onnx/file/classifier-schema.js';
import { type ModelConfig, sidesOf } from './model-config.js';

const HubConfig = z.object({
  id2label: z.record(z.string().regex(/^\d+$/), z.string()),
  problem_type: z.enum(['single_label_classification', 'multi_label_classification', 'regression']).nullish(),
  /** Ours, for what neither these files nor the graph tell. */
  input: Own.pick({ layout: true, size: true, channels: true }).optional(),
  output: Output.optional(),
});

const Side = z.union([Pixels, z.object({ height: Pixels, width: Pixels }), z.object({ shortest_edge: Pixels })]);
const PerChannel = z.union([z.number(), z.array(z.number()).min(1).max(4)]);

/** What of the preprocessor's keys changes its numbers and is followed. */
const Preprocessor = z.object({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_resize: z.boolean().nullish(),
  size: Side.nullish(),
  resample: z.union([z.int().min(0).max(5), z.enum(RESAMPLINGS)]).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: Side.nullish(),
  crop_pct: z.number().positive().max(1).nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: NonZero.nullish(),
  rescale_offset: z.boolean().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: PerChannel.nullish(),
  image_std: PerChannel.nullish(),
  include_top: z.boolean().nullish(),
  do_flip_channel_order: z.boolean().nullish(),
});
type Preprocessor = z.infer<typeof Preprocessor>;

/** They do not change a classifier's input, or only name the processor. */
const HARMLESS = new Set(['do_convert_rgb', 'processor_class', 'data_format', 'input_data_format', 'return_tensors']);
for (const key of ['device', 'auto_map', '_valid_processor_keys', 'default_to_square', 'disable_grouping'])
  HARMLESS.add(key);
for (const key of ['do_reduce_labels', 'reduce_labels', 'transformers_version', '_name_or_path']) HARMLESS.add(key);

/** They change the numbers, and are not followed. */
const UNSUPPORTED = new Set(['do_pad', 'size_divisor', 'keep_aspect_ratio', 'ensure_multiple_of', 'do_thumbnail']);
for (const key of ['do_align_long_axis', 'do_color_quantize', 'clusters', 'do_crop_margin', 'do_image_splitting']) {
  UNSUPPORTED.add(key);
}

interface Processor {
  /** `size` as a bare number: of the short side, or of both. */
  bare: 'short' | 'both';
  /** Where the key is absent, as the next. */
  crops: boolean;
  resample: Resampling;
  /** The short side is resized to `size` divided by this. */
  cropPct?: number;
  /** Side of the centre crop where `crop_size` is absent, as in published files. */
  cropSize?: number;
  /** It normalises nothing, and has blue first where `do_flip_channel_order` is absent. */
  isBgr?: boolean;
}

const CLIP: Processor = { bare: 'short', crops: true, resample: 'bicubic' };
const MOBILE: Processor = { bare: 'short', crops: true, resample: 'bilinear' };
const DEIT: Processor = { bare: 'both', crops: true, resample: 'bicubic' };
/** By the processor's name, without what follows `ImageProcessor` or `FeatureExtractor`. */
const PROCESSORS: Record<string, Processor> = {
  CLIP,
  Bit: CLIP,
  Levit: { ...CLIP, cropPct: 224 / 256, cropSize: 224 },
  PoolFormer: { ...CLIP, cropPct: 0.9, cropSize: 224 },
  MobileNetV1: MOBILE,
  MobileNetV2: MOBILE,
  MobileViT: { ...MOBILE, isBgr: true },
  DeiT: DEIT,
  Beit: DEIT,
  EfficientFormer: DEIT,
  EfficientNet: { bare: 'both', crops: false, resample: 'nearest' },
  Siglip: { bare: 'both', crops: false, resample: 'bicubic' },
  ViTHybrid: CLIP,
  ConvNext: { bare: 'short', crops: false, resample: 'bilinear', cropPct: 224 / 256 },
};
/** From this size on, ConvNext's processor stretches, and cuts nothing. */
const CONVNEXT_STRETCHES = 384;

/**
 * @param file     path of `config.json`
 * @param preprocessorFile   path of `preprocessor_config.json`
 * @throws {UserError} if they ask for something that is not followed
 */
export function fromHuggingFace(
  file: string,
  config: unknown,
  preprocessorFile: string,
  preprocessor: unknown,
): ModelConfig {
  const { id2label, problem_type: problem, input: own, output = {} } = parse(HubConfig, file, config);
  const labels = Object.keys(id2label).map((_, index) => id2label[index]);
  if (labels.includes(undefined as never)) throw new UserError(`${file}: id2label: expected the numbers from 0 on`);
  if (problem === 'regression') {
    throw new UserError(
      `${file}: problem_type: expected a classification, got regression: its outputs are not classes`,
    );
  }
  if (preprocessor === undefined)
    throw new UserError(`${preprocessorFile}: missing; it says how images become the model's input`);
  refuseLongest(preprocessor as Record<string, unknown>, preprocessorFile);
  const given = parse(Preprocessor, preprocessorFile, preprocessor);
  if (processorOf(given) === 'Perceiver') {
    throw new UserError(
      `${preprocessorFile}: the image processor of Perceiver crops before it resizes, which is not supported`,
    );
  }
  return {
    labels: parse(Labels, file, labels),
    input: {
      usualLayout: 'NCHW',
      ...geometryOf(given, preprocessorFile),
      ...coloursOf(given, preprocessorFile),
      ...ownInput(own),
    },
    crops: 1,
    output,
    problem: problem?.replace('_classification', '') as ModelConfig['problem'],
    place: 'config.json',
    notes: unknownKeys(preprocessorFile, preprocessor as Record<string, unknown>),
  };
}

/** What is given of it. */
function ownInput({ layout, size, channels }: z.infer<typeof HubConfig>['input'] = {}): Partial<Input> {
  return { ...(layout && { layout }), ...(size && { size: sidesOf(size) }), ...(channels && { channels }) };
}

/** Keys that nothing here knows. @throws {UserError} if one is known to change the numbers */
function unknownKeys(file: string, preprocessor: Record<string, unknown>): string[] {
  const others = Object.entries(preprocessor).filter(([key, value]) => {
    return !(key in Preprocessor.shape) && !HARMLESS.has(key) && value !== null && value !== false;
  });
  const bad = others.find(([key]) => UNSUPPORTED.has(key));
  if (bad) throw new UserError(`${file}: ${bad[0]}: ${JSON.stringify(bad[1])} is not supported; expected it to be off`);
  return others.map(([key]) => `${file}: ${key} is unknown, and is ignored`);
}

type Input = ModelConfig['input'];

type Geometry = Pick<Input, 'size' | 'resize' | 'shortSide' | 'resampling' | 'oddMargin'>;

function geometryOf(given: Preprocessor, file: string): Geometry {
  const name = processorOf(given);
  const known = name === undefined ? undefined : PROCESSORS[name];
  const crops = given.do_center_crop ?? known?.crops ?? false;
  const resampling = resamplingOf(given) ?? known?.resample ?? 'bilinear';
  const crop = crops ? sizeOf(given.crop_size ?? known?.cropSize ?? told('crop_size', given, file)) : undefined;
  if (given.do_resize === false) {
    return crop ? { size: crop, resize: 'keep', resampling } : { resize: 'exact', resampling };
  }
  const size = name === 'PoolFormer' ? equalSides(told('size', given, file), file) : told('size', given, file);
  const short = shortSideOf(size, known?.bare ?? (crops || given.crop_pct ? 'short' : 'both'));
  const pct = given.do_center_crop === false ? undefined : (given.crop_pct ?? known?.cropPct);
  if (short !== undefined && pct !== undefined && !(name === 'ConvNext' && short >= CONVNEXT_STRETCHES)) {
    return cut(crop ?? sizeOf(short), Math.trunc(short / pct), resampling);
  }
  if (short !== undefined && crop) return cut(crop, short, resampling);
  return { size: crop ?? sizeOf(size), resize: sizeOf(size), resampling };
}

/** @throws {UserError} if it is absent: each processor has sizes of its own then */
function told(key: 'size' | 'crop_size', given: Preprocessor, file: string): z.infer<typeof Side> {
  const side = given[key];
  if (side == null) throw new UserError(`${file}: ${key}: missing; expected a number of pixels, or height and width`);
  return side;
}

/** Two equal sides mean the short one to PoolFormer's processor, as a number does. */
function equalSides(size: z.infer<typeof Side>, file: string): z.infer<typeof Side> {
  if (typeof size === 'number' || 'shortest_edge' in size) return size;
  if (size.width === size.height) return size.width;
  throw new UserError(`${file}: size: expected equal sides for PoolFormer, got ${size.width} × ${size.height}`);
}

/** The spare pixel of an odd margin stays at the end of what is cut off, as `(length − size) // 2` has it. */
function cut(size: Size, shortSide: number, resampling: Resampling): Geometry {
  if (size.width !== size.height) return { size, shortSide, resampling };
  return { size, resize: shortSide, resampling, oddMargin: (shortSide - size.width) % 2 !== 0 };
}

function processorOf({
  image_processor_type: image,
  feature_extractor_type: extractor,
}: Preprocessor): string | undefined {
  return (image ?? extractor)?.replace(/(ImageProcessor|FeatureExtractor).*$/, '');
}

function resamplingOf({ resample }: Preprocessor): Resampling | undefined {
  return typeof resample === 'number' ? RESAMPLINGS[resample] : (resample ?? undefined);
}

/** @throws {UserError} if the long side is bounded too, which leaves the shape of the result open */
function refuseLongest(preprocessor: Record<string, unknown>, file: string): void {
  for (const key of ['size', 'crop_size']) {
    const value = preprocessor[key];
    const long = Object.keys(typeof value === 'object' && value ? value : {}).find((name) =>
      /^(longest_edge|max_)/.test(name),
    );
    if (long === undefined) continue;
    throw new UserError(
      `${file}: ${key}.${long} is not supported; expected a number, shortest_edge alone, or height and width`,
    );
  }
}

function shortSideOf(size: z.infer<typeof Side>, bare: Processor['bare']): number | undefined {
  if (typeof size === 'number') return bare === 'short' ? size : undefined;
  return 'shortest_edge' in size ? size.shortest_edge : undefined;
}

function sizeOf(size: z.infer<typeof Side>): Size {
  if (typeof size === 'number') return { width: size, height: size };
  if ('shortest_edge' in size) return { width: size.shortest_edge, height: size.shortest_edge };
  return { width: size.width, height: size.height };
}

/**
 * (x · scale − mean) / std, with what EfficientNet's processor does besides: a second division, and an offset of −1.
 */
function coloursOf(given: Preprocessor, file: string): Pick<Input, 'channels' | 'scale' | 'mean' | 'std'> {
  const name = processorOf(given);
  const isBgr = name !== undefined && PROCESSORS[name]?.isBgr === true;
  const normalized = given.do_normalize ?? !isBgr;
  if (normalized && (given.image_mean == null || given.image_std == null)) {
    throw new UserError(`${file}: do_normalize: expected image_mean and image_std with it, or false`);
  }
  const divisions = (normalized ? 1 : 0) + ((given.include_top ?? name === 'EfficientNet') ? 1 : 0);
  const rescaled = given.do_rescale !== false;
  const offset = rescaled && given.rescale_offset ? 1 : 0;
  const std = [given.image_std ?? 1].flat();
  if (std.includes(0)) throw new UserError(`${file}: image_std: expected a number other than 0`);
  return {
    channels: (given.do_flip_channel_order ?? isBgr) ? 'BGR' : undefined,
    scale: rescaled ? (given.rescale_factor ?? 1 / 255) : 1,
    mean: [(normalized && given.image_mean) || 0].flat().map((mean) => mean + offset),
    std: std.map((value) => value ** divisions),
  };
}
