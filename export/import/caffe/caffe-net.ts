/** Caffe's layers, of either form of message, as this program speaks of layers. */
import { UserError } from '../../../base/errors.js';
import { type StoredTensor, sizeOf, toFloat32 } from '../../../onnx/file/stored-tensor.js';
import type { ConvGeometry, LayerKind, PoolGeometry, Source, SourceLayer, SourceLrn } from '../source.js';
import type { BlobMessage, ConvolutionMessage, LayerMessage, NetMessage, PoolingMessage } from './schema.js';

/** `Convolution` of the form of today for the number 4 of `V1LayerParameter`. */
const V1_TYPES: Record<number, string> = { 4: 'Convolution', 14: 'InnerProduct', 15: 'LRN', 17: 'Pooling' };
const [TRAIN, WITHIN_CHANNEL, AVERAGE] = [0, 1, 1];

export const typeOfLayer = ({ type }: LayerMessage): string =>
  typeof type === 'number' ? (V1_TYPES[type] ?? `type ${type}`) : type;

/** Of either form. @throws {UserError} for the form of 2013 */
export function layersOf(path: string, { layer, layers }: NetMessage): LayerMessage[] {
  if (layers.some((old) => old.layer && old.layer.length > 0)) {
    throw new UserError(
      `${path}: layers are of Caffe's form of 2013; convert it with Caffe's upgrade_net_proto_binary`,
    );
  }
  return layer.length > 0 ? layer : layers;
}

/** In a network that is used, not trained. */
const isUsed = ({ include }: LayerMessage): boolean =>
  include.length === 0 || include.some(({ phase }) => phase !== TRAIN);

/** Whether layers say their windows, not only their weights. */
export const saysStructure = (layers: readonly LayerMessage[]): boolean =>
  layers.some((layer) => typeOfLayer(layer) === 'Pooling') &&
  layers.every((layer) => typeOfLayer(layer) !== 'Convolution' || Boolean(layer.convolution_param));

/**
 * @param all      layers of every phase: the one that reads images for training says how they are prepared
 * @param weights  blobs by layer, where they are not in the layers themselves
 */
export function sourceOfNet(
  path: string,
  net: NetMessage,
  all: readonly LayerMessage[],
  weights: ReadonlyMap<string, BlobMessage[]>,
): Source {
  const layers = all.filter(isUsed);
  const blobsOf = ({ name, blobs }: LayerMessage) => (blobs.length > 0 ? blobs : (weights.get(name) ?? []));
  const has = (type: string) => layers.filter((layer) => typeOfLayer(layer) === type);
  const weighted = layers.filter((layer) => ['Convolution', 'InnerProduct'].includes(typeOfLayer(layer)));
  const others = layers.filter((layer) => blobsOf(layer).length > 0 && !weighted.includes(layer));
  const source: Source = {
    file: path,
    habits: 'caffe',
    layers: weighted.map((layer) => sourceLayer(path, layer, blobsOf(layer))),
    unused: others.map((layer) => `${layer.name} (${typeOfLayer(layer)})`),
    ...inputOf(all),
  };
  if (!saysStructure(layers)) return source;
  return {
    ...source,
    lrns: has('LRN').map((layer) => lrnOf(path, layer)),
    graph: {
      producer: 'caffe',
      order: layers.map(kindOf).filter((kind) => kind !== undefined),
      pools: has('Pooling').map(({ pooling_param }) => poolOf(pooling_param!)),
      inputPx: inputPx(net, all),
      notRun: 'Caffe, which could run the file, is not part of this program',
    },
  };
}

function kindOf(layer: LayerMessage): LayerKind | undefined {
  switch (typeOfLayer(layer)) {
    case 'Convolution':
      return 'conv';
    case 'InnerProduct':
      return 'fc';
    case 'LRN':
      return 'lrn';
    case 'Pooling':
      return layer.pooling_param?.pool === AVERAGE ? 'avgpool' : 'maxpool';
    default:
      return undefined;
  }
}

function sourceLayer(path: string, layer: LayerMessage, [kernel, bias]: BlobMessage[]): SourceLayer {
  const { name, convolution_param: convolution, inner_product_param: product } = layer;
  if (!kernel) throw new UserError(`${path}: ${name}: expected its weights, got none; take the .caffemodel`);
  const isConv = typeOfLayer(layer) === 'Convolution';
  const stored = tensorOf(path, `${name} blob 0`, kernel, isConv ? 4 : 2);
  const rest = bias && { bias: tensorOf(path, `${name} blob 1`, bias, 1) };
  if (!isConv) return { kind: 'fc', kernel: stored, ...rest, transposed: !product?.transpose, flattened: 'chw' };
  return {
    kind: 'conv',
    kernel: stored,
    ...rest,
    ...(convolution ? { geometry: geometryOf(path, name, convolution) } : {}),
  };
}

/** Older files give four lengths to everything: [1, 1, out, in], [1, 1, 1, out]. */
export function tensorOf(path: string, name: string, blob: BlobMessage, rank: number): StoredTensor {
  const where = `${path}: ${name}`;
  const { shape, num, channels, height, width } = blob;
  const all = shape ? shape.dim.map(Number) : [num, channels, height, width];
  const extra = Math.max(0, all.length - rank);
  const dims = all.slice(0, extra).every((length) => length === 1) ? all.slice(extra) : all;
  const [data, type] = blob.data.length > 0 ? [blob.data, 'F32' as const] : [blob.double_data, 'F64' as const];
  const bytes = data.length === 1 ? data[0] : Buffer.concat(data);
  if (bytes.length !== sizeOf(dims) * (type === 'F32' ? 4 : 8)) {
    throw new UserError(`${where}: expected numbers for [${dims.join(', ')}], got ${bytes.length} bytes`);
  }
  return { name, dims, read: async () => toFloat32(where, bytes, type, dims) };
}

function geometryOf(path: string, name: string, given: ConvolutionMessage): ConvGeometry {
  const { pad, stride, dilation, group, pad_h, pad_w, stride_h, stride_w } = given;
  if (dilation.some((step) => step !== 1))
    throw new UserError(`${path}: ${name}: expected dilation 1, got ${dilation}`);
  const [top, left] = both(pad, pad_h, pad_w, 0);
  return { strides: both(stride, stride_h, stride_w, 1), pads: [top, left, top, left], groups: group };
}

/** One number for both sides, one for each, or each by its name. */
function both(values: readonly number[], height: number, width: number, initial: number): [number, number] {
  const [first = initial, second = first] = values;
  return [height || first, width || second];
}

function lrnOf(path: string, { name, lrn_param: lrn }: LayerMessage): SourceLrn {
  if (!lrn) throw new UserError(`${path}: ${name}: expected lrn_param, got none`);
  if (lrn.norm_region === WITHIN_CHANNEL) {
    throw new UserError(`${path}: ${name}: expected a norm_region ACROSS_CHANNELS, got WITHIN_CHANNEL`);
  }
  return { size: lrn.local_size, alpha: lrn.alpha, beta: lrn.beta, bias: lrn.k };
}

function poolOf(given: PoolingMessage): PoolGeometry {
  const { kernel_size, kernel_h, stride, stride_h, pad, pad_h, global_pooling } = given;
  return { size: global_pooling ? Infinity : kernel_size || kernel_h, stride: stride_h || stride, pad: pad_h || pad };
}

/** Side of a square input. */
function inputPx({ input_dim, input_shape }: NetMessage, layers: readonly LayerMessage[]): number | undefined {
  const shapes = [...input_shape, ...layers.flatMap(({ input_param }) => input_param?.shape ?? [])];
  const [dims = input_dim.slice(0, 4)] = shapes.map(({ dim }) => dim.map(Number));
  const crop = layers.find(({ transform_param }) => transform_param?.crop_size)?.transform_param?.crop_size;
  return dims.length === 4 && dims[2] === dims[3] ? dims[2] : crop;
}

/** Caffe subtracts the mean, B, G, R, and then multiplies. */
function inputOf(layers: readonly LayerMessage[]): Pick<Source, 'meanRgb' | 'std' | 'meanFile'> {
  const transform = layers.find(({ transform_param }) => transform_param)?.transform_param;
  if (!transform) return {};
  const { mean_value: mean, scale, mean_file } = transform;
  const [blue, green = blue, red = blue] = mean;
  return {
    ...(mean.length > 0 ? { meanRgb: [red, green, blue] } : {}),
    ...(scale === 1 || scale === 0 ? {} : { std: [1 / scale, 1 / scale, 1 / scale] }),
    ...(mean_file ? { meanFile: mean_file } : {}),
  };
}
