/**
 * What an exported file says about itself, in ONNX `metadata_props` (string to string). The exporter writes it, the
 * server and `classify` read it; other engines show it. Values that are no strings are JSON.
 */
import { UserError } from '../../base/errors.js';

/** Everything the server needs to know about a file, and where it came from. */
export interface ModelMetadata {
  /** Network name, e.g. `alexnet`. */
  model: string;
  /** What servers call it; absent: as its network. */
  name?: string;
  /**
   * `image`: uint8 [N, imagePx, imagePx, 3] in, mean probabilities over the crops out. `tensor`: float32 [N, 3,
   * inputPx, inputPx].
   */
  head: 'image' | 'tensor';
  /** One label a class, in index order. */
  labels: string[];
  /** ImageNet synset ids (`n02123045`) by class where known, else absent. */
  synsets?: string[];
  /** Side of the square image that goes in, pixels (256 for AlexNet): short side resized to it, centre cut out. */
  imagePx: number;
  /** Side of the network's own input, pixels (227 for AlexNet). */
  inputPx: number;
  /** Crops averaged inside the file with `head` image, as `cropsOf` orders them; 1 with `head` tensor. */
  crops: number;
  /**
   * Mean colour of the training images, R, G, B in 0 … 255; the file with `head` image subtracts the per-pixel mean
   * itself.
   */
  meanRgb: [number, number, number];
  /**
   * How images are resized: absent as in training (`base/preprocess.ts`); `bilinear` as torchvision does before its
   * central cut, for networks that were imported from there.
   */
  resampling?: 'bilinear';
  /** Data set it was trained on, as given to `--data`. */
  dataset: string;
  /**
   * Errors of this file, fractions, measured through onnxruntime with its own head: `tensor` with the centre crop,
   * meanRgb subtracted. Files without `measuredOn` state those of the checkpoint's centre crop instead.
   */
  top1Error?: number;
  top5Error?: number;
  measuredOn?: MeasuredOn;
  /** SHA-256 of the checkpoint's weights, hex. */
  checkpoint?: string;
  /** Version of the tool that wrote the file. */
  toolVersion: string;
}

/** What errors were measured on. */
export interface MeasuredOn {
  /** As given to `--data`; absent if it is `dataset`. */
  data?: string;
  split: string;
  /** Number of images, spread evenly over the split. */
  images: number;
}

const KEYS = {
  model: 'model',
  name: 'name',
  head: 'head',
  labels: 'labels',
  synsets: 'synsets',
  imagePx: 'image_px',
  inputPx: 'input_px',
  crops: 'crops',
  meanRgb: 'mean_rgb',
  resampling: 'resampling',
  dataset: 'dataset',
  top1Error: 'top1_error',
  top5Error: 'top5_error',
  measuredOn: 'measured_on',
  checkpoint: 'checkpoint_sha256',
  toolVersion: 'tool_version',
} as const satisfies Record<keyof ModelMetadata, string>;

const TEXT_FIELDS = new Set<keyof ModelMetadata>([
  'model',
  'name',
  'head',
  'resampling',
  'dataset',
  'checkpoint',
  'toolVersion',
]);

/** Name of this program in the files that it writes. */
const PRODUCER = 'alexnet';

/** Whether a file was written here: other programs use some of the same keys for something else. */
export function isOwnFile({ producerName, metadataProps }: import('onnx-proto').onnx.IModelProto): boolean {
  return producerName === PRODUCER && (metadataProps ?? []).some(({ key }) => key === KEYS.head);
}

/** Metadata as `metadata_props` entries, in a fixed order. */
export function metadataToProps(metadata: ModelMetadata): { key: string; value: string }[] {
  return (Object.keys(KEYS) as (keyof ModelMetadata)[])
    .filter((field) => metadata[field] !== undefined)
    .map((field) => ({
      key: KEYS[field],
      value: TEXT_FIELDS.has(field) ? String(metadata[field]) : JSON.stringify(metadata[field]),
    }));
}

/**
 * Reads `metadata_props` back.
 * @throws {UserError} when a value does not parse or a required one is missing: the file is not one of ours
 */
export function propsToMetadata(props: { key?: string | null; value?: string | null }[], file: string): ModelMetadata {
  const values = new Map(props.map(({ key, value }) => [key ?? '', value ?? '']));
  const metadata: Record<string, unknown> = {};
  for (const [field, key] of Object.entries(KEYS) as [keyof ModelMetadata, string][]) {
    const text = values.get(key);
    if (text === undefined) continue;
    try {
      metadata[field] = TEXT_FIELDS.has(field) ? text : JSON.parse(text);
    } catch (cause) {
      throw new UserError(`${file}: metadata "${key}" is not JSON: ${text.slice(0, 60)}`, { cause });
    }
  }
  const missing = (['head', 'labels', 'imagePx', 'inputPx'] as const).filter((field) => metadata[field] === undefined);
  if (missing.length > 0) {
    const keys = missing.map((field) => KEYS[field]).join(', ');
    throw new UserError(
      `${file}: not a classifier this program exported: metadata ${keys} missing; make one with "alexnet export"`,
    );
  }
  return metadata as unknown as ModelMetadata;
}
