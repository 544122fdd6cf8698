/**
 * Reads a `.onnx` file and makes sure, before anything is started, that it is a classifier of images, and how images
 * become its input: by the metadata of a file that "alexnet export" wrote, else by the description next to it.
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { UserError } from '../../../base/errors.js';
import { fileSignature } from '../../../base/file-signature.js';
import { torchvisionDecoding } from '../../../base/image/fit.js';
import { ownRoots, type Roots, requireInside } from '../../../base/links.js';
import { CLASSIFIER_KEY } from '../../../onnx/file/classifier-description.js';
import { type Decoded, encodeEdited, type TensorData } from '../../../onnx/file/encode-edited.js';
import { checkExternalData, isExternal } from '../../../onnx/file/external-data.js';
import { firstReader } from '../../../onnx/file/first-reader.js';
import { isOwnFile, type ModelMetadata, propsToMetadata } from '../../../onnx/file/metadata.js';
import { onnx } from '../../../onnx/file/onnx-proto.js';
import { endingOf } from '../../../onnx/file/output-ending.js';
import { readSkeleton } from '../../../onnx/file/read-skeleton.js';
import type { Classifying } from '../../served-model.js';
import { datatypeOf, describeTensor, elementCount, type NamedSpec, type TensorSpec } from '../../tensors.js';
import type { ImageRecipe } from '../image/image-tensor.js';
import type { OutputFacts } from './activation.js';
import { INPUT, imageRecipe } from './image-recipe.js';
import type { ModelConfig } from './model-config.js';
import { isDescribed } from './sidecars.js';

type ModelProto = onnx.IModelProto;
type TensorProto = onnx.ITensorProto;
type ValueInfo = onnx.IValueInfoProto;

export interface ModelFile {
  /** Without the values of large tensors: these it refers to, in the file itself or next to it. */
  proto: ModelProto;
  /** Bytes of an edited `proto`, see `encodeEdited`. */
  encode(edited: ModelProto, data?: ReadonlyMap<TensorProto, TensorData>): Uint8Array;
  /** Folders in which its files may lie. */
  roots: Roots;
  /** Size of everything that is to be loaded, data next to the file included, bytes. */
  size: number;
  /** As the file states it, or the file's own name. */
  name: string;
  classifier: Pick<Classifying, 'labels' | 'synsets' | 'cropPx' | 'input' | 'outputs'>;
  recipe: ImageRecipe;
  /** Crops that the graph itself cuts out of each row of its input, and averages. */
  cropsInside: number;
  /** Name of the output that classes are read from, [rows, classes]. */
  output: string;
  /**
   * Name of the value that holds the probabilities of each crop the graph cuts, [crops · rows, classes]; undefined if
   * it cuts none.
   */
  perCrop?: string;
  /** What is known of that output's values: what becomes of them is decided once the model has run. */
  facts: OutputFacts;
  /** Written by this program, with values named after layers. */
  isOwn: boolean;
  /** What people should know of how the file is read, one line each. */
  notes: string[];
  /** Of the file as it was read, and of those that hold weights of it; see `fileSignature`. */
  signatures: string[];
  /** @throws {UserError} if one of them is not the same any more */
  checkUnchanged(): Promise<void>;
}

interface ConfigOptions {
  /** The description inside the file, if it has one. */
  inside: string | null | undefined;
  roots: Roots;
  /** Without it, one next to the file that is not about a classifier is passed over, such as a run's. */
  required: boolean;
}

/** @throws {UserError} if the description does not describe a classifier */
async function readConfig(file: string, { inside, roots, required }: ConfigOptions): Promise<ModelConfig | undefined> {
  const { configInside, readModelConfig } = await import('./read-model-config.js');
  if (inside) return configInside(file, inside);
  return readModelConfig(file, roots).catch((error) => {
    if (required) throw error;
    return undefined;
  });
}

/**
 * @param given  folders in which the model's files may lie; undefined for those of its own
 * @throws {UserError} when the file cannot be read, is not an ONNX file, is cut short, or is not a classifier that can
 *   be told how to feed
 */
export async function readModelFile(file: string, given?: Roots): Promise<ModelFile> {
  const roots = given ?? (await ownRoots(file));
  await requireInside(file, roots).catch((error) => {
    if (error instanceof UserError) throw error; // what else is wrong shows when it is read
  });
  const signature = await fileSignature(file).catch(() => 'none');
  const { proto, bytes, size: fileSize } = readProto(file);
  const { inputs, outputs } = interfaceOf(proto, file);
  const isOwn = isOwnFile(proto);
  const metadata = ownMetadata(proto, isOwn, file);
  const inside = proto.metadataProps?.find(({ key }) => key === CLASSIFIER_KEY)?.value;
  const describesItself = inside !== undefined || (isOwn && metadata !== undefined);
  const config = isOwn && metadata ? undefined : await readConfig(file, { inside, roots, required: !metadata });
  const model = { inputs, outputs, proto };
  const byItself = metadata && !config;
  const described = byItself ? byMetadata(metadata, model, file) : byConfig(requireConfig(config, file), model, file);
  if (describesItself && (await isDescribed(file, roots)))
    described.notes.push('config.json next to it is not used: the file describes itself');
  let size = fileSize;
  const signatures = new Map([[file, signature]]);
  for (const tensor of proto.graph?.initializer ?? []) {
    const isElsewhere = isExternal(tensor) && tensor.externalData?.[0]?.value !== basename(file);
    if (!isElsewhere) continue;
    const { path, length } = await checkExternalData(file, tensor, roots);
    size += length;
    if (!signatures.has(path)) signatures.set(path, await fileSignature(path));
  }
  return {
    ...described,
    isOwn: byItself ?? false,
    proto,
    encode: (edited, data) => encodeEdited({ bytes, proto }, edited, data),
    roots,
    size,
    signatures: [...signatures.values()],
    checkUnchanged: async () => {
      for (const [path, before] of signatures) {
        if ((await fileSignature(path)) !== before) {
          throw new UserError(
            `${path}: was replaced or changed while it was being loaded; try again once it is complete`,
          );
        }
      }
    },
  };
}

/**
 * What a file says of itself in our words; undefined if another program left some of it out, or uses the words for
 * something else.
 */
function ownMetadata({ metadataProps }: ModelProto, isOwn: boolean, file: string): ModelMetadata | undefined {
  try {
    return propsToMetadata(metadataProps ?? [], file);
  } catch (error) {
    if (isOwn) throw error;
    return undefined;
  }
}

function requireConfig(config: ModelConfig | undefined, file: string): ModelConfig {
  if (config) return config;
  throw new UserError(
    `${file}: does not say how images become its input; put a config.json next to it, e.g. ` +
      '{"labels": "labels.txt", "input": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}',
  );
}

type Described = Pick<
  ModelFile,
  'name' | 'classifier' | 'recipe' | 'cropsInside' | 'output' | 'perCrop' | 'facts' | 'notes'
>;
interface Interface {
  inputs: NamedSpec[];
  outputs: NamedSpec[];
}

/**
 * A file of ours: `image` uint8 [N, imagePx, imagePx, 3], or `input` float32 [N, 3, inputPx, inputPx] → `probabilities`
 * [N, classes].
 */
function byMetadata(metadata: ModelMetadata, model: Interface & { proto: ModelProto }, file: string): Described {
  const { inputs, outputs, proto } = model;
  const { head, labels, synsets, imagePx, inputPx, crops, resampling } = metadata;
  const whole = head === 'image';
  const expected: TensorSpec[] = [
    whole
      ? { name: 'image', datatype: 'UINT8', shape: [-1, imagePx, imagePx, 3] }
      : { name: 'input', datatype: 'FP32', shape: [-1, 3, inputPx, inputPx] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, labels.length] },
  ];
  const found = [inputs, outputs.filter(({ name }) => whole || name !== 'logits')];
  expected.forEach((wanted, i) => {
    if (found[i].length === 1 && describeTensor(found[i][0], true) === describeTensor(wanted)) return;
    const got = found[i].map((spec) => describeTensor(spec)).join(', ') || 'none';
    throw new UserError(
      `${file}: not a classifier of images: expected the ${i === 0 ? 'input' : 'output'} ${describeTensor(wanted)}, got ${got}; ` +
        'make one with "alexnet export"',
    );
  });
  if (synsets && synsets.length !== labels.length) {
    throw new UserError(`${file}: metadata has ${labels.length} labels and ${synsets.length} synsets; export it again`);
  }
  if (resampling !== undefined && resampling !== 'bilinear') {
    throw new UserError(`${file}: metadata: expected resampling bilinear, or none, got "${resampling}"`);
  }
  return {
    name: metadata.name ?? metadata.model ?? basename(file, '.onnx'),
    classifier: { labels, synsets, cropPx: inputPx, ...interfaceFor(inputs[0], outputs) },
    recipe: {
      datatype: whole ? 'UINT8' : 'FP32',
      layout: whole ? 'NHWC' : 'NCHW',
      channels: 'RGB',
      decoding: resampling
        ? torchvisionDecoding(imagePx)
        : { width: imagePx, height: imagePx, channels: 3, fit: 'cut' },
      input: whole ? { width: imagePx, height: imagePx } : { width: inputPx, height: inputPx },
      crops: 1,
      scale: 1,
      mean: metadata.meanRgb ?? [0, 0, 0],
      std: [1, 1, 1],
    },
    cropsInside: whole ? (crops ?? 1) : 1,
    output: 'probabilities',
    perCrop: whole && (crops ?? 1) > 1 ? perCropOf(proto) : undefined,
    facts: {
      known: { applied: 'none', multiLabel: false, why: 'the file says that it gives probabilities' },
      classes: labels.length,
      width: labels.length,
    },
    notes: [],
  };
}

/** The softmax whose mean over the crops `probabilities` is. */
function perCropOf({ graph }: ModelProto): string | undefined {
  const ending = endingOf(graph ?? {}, 'probabilities');
  return ending?.kind === 'softmax' ? ending.value : undefined;
}

/** Any other network with one image for input and a row of classes for output. */
function byConfig(config: ModelConfig, model: Interface & { proto: ModelProto }, file: string): Described {
  const { inputs, outputs, proto } = model;
  if (inputs.length !== 1) {
    const got = inputs.map((spec) => describeTensor(spec)).join(', ');
    throw new UserError(`${file}: expected one input, ${INPUT}, got ${got}`);
  }
  const recipe = imageRecipe(config, inputs[0], firstReader(proto.graph ?? {}, inputs[0].name), file);
  const { output, notes } = chosenOutput(config, outputs, proto, file);
  const width = output.shape.slice(1).every((length) => length > 0) ? elementCount(output.shape.slice(1)) : -1;
  const labels = config.labels ?? (width > 0 ? Array.from({ length: width }, (_, i) => String(i)) : []);
  const isBinary = width === 1 && labels.length === 2;
  if (labels.length === 0 || (width > 0 && width !== labels.length && !isBinary)) {
    throw new UserError(
      `${file}: ${config.place} has ${config.labels?.length ?? 'no'} labels for the output ${describeTensor(output)}; expected one per class`,
    );
  }
  const { synsets } = config;
  if (synsets && synsets.length !== labels.length) {
    throw new UserError(`${file}: ${config.place} has ${labels.length} labels and ${synsets.length} synsets`);
  }
  return {
    name: basename(file, '.onnx'),
    classifier: { labels, synsets, cropPx: recipe.input.width, ...interfaceFor(inputs[0], outputs) },
    recipe,
    cropsInside: 1,
    output: output.name,
    facts: {
      configured: config.output.activation,
      problem: config.problem,
      ending: endingOf(proto.graph ?? {}, output.name),
      classes: labels.length,
      width: isBinary ? 1 : labels.length,
    },
    notes: [...config.notes, ...notes],
  };
}

/** The output that config.json names, else the first of floats: other outputs need not be tensors of numbers. */
function chosenOutput({ output: { name } }: ModelConfig, outputs: NamedSpec[], { graph }: ModelProto, file: string) {
  const floats = outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP16');
  const output = floats.find((spec) => name === undefined || spec.name === name);
  if (!output) {
    const got = (graph?.output ?? []).map((info) => {
      const spec = outputs.find((one) => one.name === info.name);
      return spec ? describeTensor(spec) : `${info.name} ${typeName(info)}`;
    });
    const there = got.join(', ') || 'none';
    if (name !== undefined && !graph?.output?.some((info) => info.name === name))
      throw new UserError(`${file}: output.name: the model has no output ${name}; it has ${there}`);
    throw new UserError(
      `${file}: expected ${name ? `the output ${name} to be` : 'an output of'} float32 or float16, got ${there}`,
    );
  }
  if (name !== undefined || floats.length === 1) return { output, notes: [] };
  const others = floats.map((spec) => spec.name).join(', ');
  return {
    output,
    notes: [`classes are read from ${output.name}, the first of ${others}; output.name chooses another`],
  };
}

function readProto(file: string): Decoded & { size: number } {
  let read: Decoded & { size: number };
  try {
    const { skeleton: bytes, size } = readSkeleton(file);
    read = { bytes, proto: onnx.ModelProto.decode(bytes), size };
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${file}: ${unreadable(cause as NodeJS.ErrnoException, file)}`, { cause });
  }
  if (read.proto.graph?.node?.length && read.proto.opsetImport?.length) return read;
  throw new UserError(`${file}: not an ONNX file (${read.size} bytes hold no graph); make one with "alexnet export"`);
}

function unreadable({ code, message }: NodeJS.ErrnoException, file: string): string {
  const reasons: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'may not be read',
  };
  if (code === undefined)
    return `not an ONNX file, or cut short (${statSync(file).size} bytes); export or copy it again`;
  return `${reasons[code] ?? `cannot be read: ${message}`}; expected a .onnx file`;
}

/** @throws {UserError} if an input is of a type that is not served; outputs of such types are left out */
function interfaceOf({ graph }: ModelProto, file: string): Interface {
  const initializers = new Set(graph?.initializer?.map(({ name }) => name));
  const fed = (graph?.input ?? []).filter(({ name }) => !initializers.has(name));
  const inputs = fed.map((info) => {
    const spec = specOf(info);
    if (spec) return spec;
    throw new UserError(`${file}: the input ${info.name} has the type ${typeName(info)}, which is not served`);
  });
  return { inputs, outputs: (graph?.output ?? []).flatMap((info) => specOf(info) ?? []) };
}

function specOf({ name, type }: ValueInfo): NamedSpec | undefined {
  const datatype = datatypeOf('onnx', type?.tensorType?.elemType);
  const dims = type?.tensorType?.shape?.dim ?? [];
  const shape = dims.map(({ dimValue }) => Number(dimValue ?? 0) || -1);
  return datatype && { name: name ?? '', datatype, shape, axes: dims.map(({ dimParam }) => dimParam ?? '') };
}

/** For clients. */
function interfaceFor(input: NamedSpec, outputs: readonly NamedSpec[]): Pick<Classifying, 'input' | 'outputs'> {
  const unnamed = ({ name, datatype, shape }: NamedSpec): TensorSpec => ({ name, datatype, shape });
  return { input: unnamed(input), outputs: outputs.map(unnamed) };
}

function typeName({ type }: ValueInfo): string {
  if (!type?.tensorType) return type?.sequenceType ? 'sequence' : type?.mapType ? 'map' : 'no tensor';
  const { elemType } = type.tensorType;
  return onnx.TensorProto.DataType[elemType ?? 0] ?? String(elemType);
}

/** Of the image that crops are cut from, as clients are told it. */
export function geometryOf({
  decoding,
  input,
}: ImageRecipe): Pick<Classifying, 'imagePx' | 'imageHeight' | 'cropHeight' | 'fit'> {
  const { width, height, fit } = decoding;
  const isSquare = width === height && input.width === input.height;
  const heights = isSquare ? {} : { imageHeight: height, cropHeight: input.height };
  return { imagePx: width, ...heights, fit: fit === 'stretch' ? 'stretch' : 'cut' };
}
