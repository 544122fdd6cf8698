/**
 * Reads a `.onnx` file and makes sure, before anything is started, that it is a classifier of pictures, and how pictures become its input: by
 * the metadata of a file that "alexnet export" wrote, else by the description beside it.
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import onnxProto from 'onnx-proto';
import { type Decoded, encodeEdited } from '../../export/encode-edited.js';
import { checkExternalData, isExternal } from '../../export/external-data.js';
import { type ModelMetadata, propsToMetadata } from '../../export/metadata.js';
import { readSkeleton } from '../../export/read-skeleton.js';
import { UserError } from '../../model/errors.js';
import { fileSignature } from '../file-signature.js';
import type { Classifying } from '../served-model.js';
import { type Datatype, datatypeOf, type TensorSpec } from '../tensors.js';
import { type ModelConfig, readModelConfig } from './model-config.js';
import type { PictureRecipe } from './picture-tensor.js';

// onnx-proto is CommonJS: named imports fail under ESM.
const { onnx } = onnxProto;
type ModelProto = import('onnx-proto').onnx.IModelProto;
type TensorProto = import('onnx-proto').onnx.ITensorProto;
type ValueInfo = import('onnx-proto').onnx.IValueInfoProto;

export interface ModelFile {
  /** Without the values of large tensors: these it refers to, in the file itself or beside it. */
  proto: ModelProto;
  /** Bytes of an edited `proto`, see `encodeEdited`. */
  encode(edited: ModelProto, data?: ReadonlyMap<TensorProto, Uint8Array>): Uint8Array;
  /** Size of everything that is to be loaded, data beside the file included, bytes. */
  size: number;
  /** As the file states it, or the file's own name. */
  name: string;
  classifier: Omit<Classifying, 'crops' | 'imagePx'>;
  recipe: PictureRecipe;
  /** Crops that the graph itself cuts out of each row of its input, and averages. */
  cropsInside: number;
  /** Name of the output that classes are read from, [rows, classes]. */
  output: string;
  /** Name of the value that holds the probabilities of each crop the graph cuts, [crops · rows, classes]; undefined where it cuts none. */
  perCrop?: string;
  /** That output is no probabilities yet. */
  softmax: boolean;
  /** @throws {UserError} where the file is not the same any more */
  checkUnchanged(): Promise<void>;
}

/**
 * @throws {UserError} when the file cannot be read, is no ONNX file, is cut short, or is no classifier that can be told how to feed
 */
export async function readModelFile(file: string): Promise<ModelFile> {
  const signature = await fileSignature(file).catch(() => 'none');
  const { proto, bytes, size: fileSize } = readProto(file);
  const { inputs, outputs } = interfaceOf(proto, file);
  const isOwn = proto.metadataProps?.some(({ key }) => key === 'head') ?? false;
  const config = isOwn ? undefined : await readModelConfig(file);
  if (!isOwn && !config) {
    throw new UserError(
      `${file}: does not say how pictures become its input; put a config.json beside it, e.g. ` +
        '{"labels": "labels.txt", "input": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}',
    );
  }
  const described = config
    ? byConfig(config, { inputs, outputs, proto }, file)
    : byMetadata(propsToMetadata(proto.metadataProps ?? [], file), { inputs, outputs, proto }, file);
  let size = fileSize;
  for (const tensor of proto.graph?.initializer ?? []) {
    const isBeside = isExternal(tensor) && tensor.externalData?.[0]?.value !== basename(file);
    if (isBeside) size += await checkExternalData(file, tensor);
  }
  return {
    ...described,
    proto,
    encode: (edited, data) => encodeEdited({ bytes, proto }, edited, data),
    size,
    checkUnchanged: async () => {
      if ((await fileSignature(file)) === signature) return;
      throw new UserError(`${file}: was replaced or changed while it was being loaded; try again once it is complete`);
    },
  };
}

type Described = Pick<ModelFile, 'name' | 'classifier' | 'recipe' | 'cropsInside' | 'output' | 'perCrop' | 'softmax'>;
interface Interface {
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

/** A file of ours: `image` uint8 [N, imagePx, imagePx, 3], or `input` float32 [N, 3, inputPx, inputPx] → `probabilities` [N, classes]. */
function byMetadata(metadata: ModelMetadata, model: Interface & { proto: ModelProto }, file: string): Described {
  const { inputs, outputs, proto } = model;
  const { head, labels, synsets, imagePx, inputPx, crops } = metadata;
  const whole = head === 'image';
  const expected: TensorSpec[] = [
    whole
      ? { name: 'image', datatype: 'UINT8', shape: [-1, imagePx, imagePx, 3] }
      : { name: 'input', datatype: 'FP32', shape: [-1, 3, inputPx, inputPx] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, labels.length] },
  ];
  const found = [inputs, outputs.filter(({ name }) => whole || name !== 'logits')];
  expected.forEach((wanted, i) => {
    if (found[i].length === 1 && describe(found[i][0], true) === describe(wanted)) return;
    const got = found[i].map((spec) => describe(spec)).join(', ') || 'none';
    throw new UserError(
      `${file}: not a classifier of pictures: expected the ${i === 0 ? 'input' : 'output'} ${describe(wanted)}, got ${got}; ` +
        'make one with "alexnet export"',
    );
  });
  if (synsets && synsets.length !== labels.length) {
    throw new UserError(`${file}: metadata has ${labels.length} labels and ${synsets.length} synsets; export it again`);
  }
  return {
    name: metadata.model ?? basename(file, '.onnx'),
    classifier: { labels, synsets, cropPx: inputPx, input: inputs[0], outputs, answer: 'probabilities' },
    recipe: {
      datatype: whole ? 'UINT8' : 'FP32',
      layout: whole ? 'NHWC' : 'NCHW',
      channels: 'RGB',
      imagePx,
      inputPx: whole ? imagePx : inputPx,
      crops: 1,
      scale: 1,
      mean: metadata.meanRgb ?? [0, 0, 0],
      std: [1, 1, 1],
    },
    cropsInside: whole ? (crops ?? 1) : 1,
    output: 'probabilities',
    perCrop: whole && (crops ?? 1) > 1 ? softmaxBefore(proto, 'probabilities') : undefined,
    softmax: false,
  };
}

/** Any other network with one picture for input and a row of classes for output. */
function byConfig(config: ModelConfig, model: Interface & { proto: ModelProto }, file: string): Described {
  const { inputs, outputs, proto } = model;
  const [input] = inputs;
  if (inputs.length !== 1 || input.shape.length !== 4 || !isPictureType(input.datatype)) {
    const got = inputs.map((spec) => describe(spec)).join(', ');
    throw new UserError(`${file}: expected one input, float32 or uint8 with four axes, got ${got}`);
  }
  const layout = config.input.layout ?? layoutOf(input);
  if (!layout) {
    throw new UserError(
      `${file}: the input ${describe(input)} does not tell NCHW from NHWC; give input.layout in config.json`,
    );
  }
  const sides = layout === 'NCHW' ? input.shape.slice(2) : input.shape.slice(1, 3);
  const stated = sides.find((side) => side !== -1);
  const inputPx = stated ?? config.input.size;
  if (!inputPx) throw new UserError(`${file}: leaves the size of its input free; give input.size in config.json`);
  if (sides.some((side) => side !== -1 && side !== inputPx) || (config.input.size ?? inputPx) !== inputPx) {
    const got = config.input.size ? `, config.json says ${config.input.size}` : '';
    throw new UserError(`${file}: expected a square input of one size, got ${describe(input)}${got}`);
  }
  const imagePx = config.input.resize ?? Math.round((inputPx * 256) / 224);
  if (imagePx < inputPx) {
    throw new UserError(
      `${file}: config.json: input.resize: expected at least the model's ${inputPx} pixels, got ${imagePx}`,
    );
  }
  const output = outputs.find(({ name }) => name === (config.output.name ?? outputs[0]?.name));
  if (output?.datatype !== 'FP32') {
    const got = outputs.map((spec) => describe(spec)).join(', ') || 'none';
    throw new UserError(`${file}: expected the output ${config.output.name ?? ''} to be float32, got ${got}`);
  }
  const classes = output.shape.length === 2 ? output.shape[1] : -1;
  const labels = config.labels ?? (classes > 0 ? Array.from({ length: classes }, (_, i) => String(i)) : []);
  if (labels.length === 0 || (classes > 0 && classes !== labels.length)) {
    throw new UserError(
      `${file}: config.json has ${config.labels?.length ?? 'no'} labels for the output ${describe(output)}; expected one a class`,
    );
  }
  const softmax = config.output.activation
    ? config.output.activation === 'softmax'
    : softmaxBefore(proto, output.name) === undefined;
  const { synsets, input: colours } = config;
  if (synsets && synsets.length !== labels.length) {
    throw new UserError(`${file}: config.json has ${labels.length} labels and ${synsets.length} synsets`);
  }
  return {
    name: basename(file, '.onnx'),
    classifier: { labels, synsets, cropPx: inputPx, input, outputs, answer: softmax ? 'probabilities' : output.name },
    recipe: {
      datatype: input.datatype === 'UINT8' ? 'UINT8' : 'FP32',
      layout,
      channels: colours.channels,
      imagePx,
      inputPx,
      crops: config.crops,
      scale: colours.scale,
      mean: colours.mean,
      std: colours.std,
    },
    cropsInside: 1,
    output: output.name,
    softmax,
  };
}

function isPictureType(datatype: Datatype): boolean {
  return datatype === 'UINT8' || datatype === 'FP32';
}

function layoutOf({ shape }: TensorSpec): 'NCHW' | 'NHWC' | undefined {
  if ((shape[1] === 3) === (shape[3] === 3)) return undefined;
  return shape[1] === 3 ? 'NCHW' : 'NHWC';
}

/** The value that a softmax gives, where `output` holds the same or means of it. */
function softmaxBefore({ graph }: ModelProto, output: string): string | undefined {
  const passes = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Cast', 'ReduceMean']);
  for (let name: string | undefined = output; name !== undefined; ) {
    const at: string = name;
    const node = graph?.node?.find((candidate) => candidate.output?.includes(at));
    if (node?.opType === 'Softmax') return at;
    if (!passes.has(node?.opType ?? '')) return undefined;
    name = node?.input?.[0];
  }
  return undefined;
}

function readProto(file: string): Decoded & { size: number } {
  let read: Decoded & { size: number };
  try {
    const { skeleton: bytes, size } = readSkeleton(file);
    read = { bytes, proto: onnx.ModelProto.decode(bytes), size };
  } catch (cause) {
    throw new UserError(`${file}: ${unreadable(cause as NodeJS.ErrnoException, file)}`, { cause });
  }
  if (read.proto.graph?.node?.length && read.proto.opsetImport?.length) return read;
  throw new UserError(`${file}: not an ONNX file (${read.size} bytes hold no graph); make one with "alexnet export"`);
}

function unreadable({ code, message }: NodeJS.ErrnoException, file: string): string {
  const reasons: Record<string, string> = {
    ENOENT: 'no such file',
    EISDIR: 'is a folder',
    EACCES: 'may not be read',
  };
  if (code === undefined)
    return `not an ONNX file, or cut short (${statSync(file).size} bytes); export or copy it again`;
  return `${reasons[code] ?? `cannot be read: ${message}`}; expected a .onnx file`;
}

function interfaceOf({ graph }: ModelProto, file: string): Interface {
  const initializers = new Set(graph?.initializer?.map(({ name }) => name));
  const specs = (values: ValueInfo[], role: string) =>
    values.map(({ name, type }): TensorSpec => {
      const elemType = type?.tensorType?.elemType;
      const datatype = datatypeOf('onnx', elemType);
      if (!datatype) {
        throw new UserError(
          `${file}: the ${role} ${name} has the type ${onnx.TensorProto.DataType[elemType ?? 0] ?? elemType}, which is not served`,
        );
      }
      const dims = type?.tensorType?.shape?.dim ?? [];
      return { name: name ?? '', datatype, shape: dims.map(({ dimValue }) => Number(dimValue ?? 0) || -1) };
    });
  return {
    inputs: specs(
      (graph?.input ?? []).filter(({ name }) => !initializers.has(name)),
      'input',
    ),
    outputs: specs(graph?.output ?? [], 'output'),
  };
}

/** @param anyBatch  whatever the length of the first axis */
function describe({ name, datatype, shape }: TensorSpec, anyBatch = false): string {
  const lengths = shape.map((length, axis) => (length === -1 || (anyBatch && axis === 0) ? 'N' : length));
  return `${name} ${datatype} [${lengths.join(', ')}]`;
}
