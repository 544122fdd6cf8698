/**
 * Convolutions and their gradients, over two axes of space or three, plain, grouped and depthwise. All of them are one
 * `Conv` of channels-first images: a depthwise convolution has as many groups as channels, our own kernel
 * `GroupedConv2D` (model/grouped-conv2d.ts) gives its number of groups, tfjs's plain kernels have one.
 */
import { backend_util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { identity, type Layout, NCHW, OIHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { activate, refusesActivation } from './activation.js';
import { type ConvGeometry, convolve, inputGradient, kernelGradient } from './convolution-nodes.js';
import { withPadEnd } from './windows.js';

type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];

/** What tells one family of tfjs's convolutions from another. */
interface Kind {
  geometry(xShape: readonly number[], filterShape: readonly number[], attrs: Attrs): ConvGeometry;
  /** Order in memory of ONNX's images, and of its kernels. */
  image(attrs: Attrs): Layout;
  filter: Layout;
}

function geometry2d(xShape: readonly number[], filterShape: readonly number[], attrs: Attrs, depthwise: boolean) {
  const [kh, kw, filterIn, filterOut] = filterShape;
  const groups = depthwise ? filterIn : (attrs.groups ?? 1);
  const info = backend_util.computeConv2DInfo(
    [...xShape] as Shape4,
    depthwise ? ([...filterShape] as Shape4) : [kh, kw, filterIn * groups, filterOut],
    attrs.strides,
    attrs.dilations ?? [1, 1],
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise,
    attrs.dataFormat === 'NCHW' && !depthwise ? 'channelsFirst' : 'channelsLast',
  );
  const windows = withPadEnd({
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    kernel: [kh, kw],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    padBegin: [info.padInfo.top, info.padInfo.left],
    isSame: attrs.pad === 'same',
  });
  const channels = { inChannels: info.inChannels, outChannels: info.outChannels };
  return { ...windows, batch: xShape[0], ...channels, groups };
}

function geometry3d(xShape: readonly number[], filterShape: readonly number[], attrs: Attrs): ConvGeometry {
  const info = backend_util.computeConv3DInfo(
    [...xShape] as Shape5,
    [...filterShape] as Shape5,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
  );
  const windows = withPadEnd({
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    kernel: [...filterShape.slice(0, 3)],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    padBegin: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    isSame: attrs.pad === 'same',
  });
  const channels = { inChannels: info.inChannels, outChannels: info.outChannels };
  return { ...windows, batch: xShape[0], ...channels, groups: 1 };
}

const image2d = ({ dataFormat }: Attrs) => (dataFormat === 'NCHW' ? identity(4) : NCHW);

const CONV_2D: Kind = {
  geometry: (x, filter, attrs) => geometry2d(x, filter, attrs, false),
  image: image2d,
  filter: OIHW,
};
/**
 * tfjs's kernels are [h, w, channels, multiplier]; memory channels, multiplier, h, w is ONNX's [channels · multiplier,
 * 1, h, w].
 */
const DEPTHWISE: Kind = {
  geometry: (x, filter, attrs) => geometry2d(x, filter, attrs, true),
  image: () => NCHW, // the cpu kernel, too, takes every image as NHWC
  filter: [2, 3, 0, 1],
};
/** Images [N, D, H, W, C], kernels [d, h, w, I, O]. */
const CONV_3D: Kind = { geometry: geometry3d, image: () => [0, 4, 1, 2, 3], filter: [4, 3, 0, 1, 2] };

/** A tfjs kernel as ONNX's [O, I / groups, …space]. */
function onnxKernel(g: Graph, kind: Kind, filter: Value, c: ConvGeometry): Value {
  return g.reshape(g.in(kind.filter, filter), [c.outChannels, c.inChannels / c.groups, ...c.kernel]);
}

function imageSpec(kind: Kind, c: ConvGeometry, attrs: Attrs): TensorSpec {
  const dims = [c.batch, c.outChannels, ...c.output];
  const shape: number[] = [];
  kind.image(attrs).forEach((axis, i) => {
    shape[axis] = dims[i];
  });
  return { shape, dtype: 'float32' };
}

function lowerConv(g: Graph, kind: Kind, [x, filter, bias]: Value[], attrs: Attrs): Value {
  const c = kind.geometry(x.shape, filter.shape, attrs);
  const layout = kind.image(attrs);
  const result = convolve(g, g.in(layout, x), onnxKernel(g, kind, filter, c), bias && g.memory(bias), c);
  return g.view(result, layout);
}

function forward(kind: Kind): Rule {
  return {
    since: 11,
    inputs: ['x', 'filter'],
    refuses: refusesAllButFloat,
    outputs: ([x, filter], attrs) => [imageSpec(kind, kind.geometry(x.shape, filter.shape, attrs), attrs)],
    lower: (g, [x, filter], attrs) => [lowerConv(g, kind, [x, filter], attrs)],
  };
}

/** With the bias and the activation that tfjs fuses. */
function fused(kind: Kind): Rule {
  const rule = forward(kind);
  return {
    ...rule,
    inputs: ['x', 'filter', 'bias?', 'preluActivationWeights?'],
    refuses: (inputs, attrs) => {
      const [x, filter, bias] = inputs;
      const refused = refusesAllButFloat(inputs) ?? refusesActivation(attrs);
      // A vector of slopes then runs along channels that are not the last axis.
      if (attrs.activation === 'prelu' && !refused && kind.image(attrs)[1] === 1) return 'prelu over NCHW';
      if (refused || !bias) return refused;
      const { outChannels } = kind.geometry(x.shape, filter.shape, attrs);
      return bias.shape.length === 1 && bias.shape[0] === outChannels ? undefined : `bias of shape [${bias.shape}]`;
    },
    lower: (g, [x, filter, bias, slope], attrs) => {
      // tfjs lines a vector of slopes up with the channels, wherever they are.
      const channels = slope?.shape.length === 1 && slope.shape[0] !== 1 && attrs.dataFormat === 'NCHW';
      const slopes = channels ? g.reshape(slope, [slope.shape[0], 1, 1]) : slope;
      return [activate(g, lowerConv(g, kind, [x, filter, bias], attrs), attrs, slopes)];
    },
  };
}

/**
 * tfjs has gradients for undilated convolutions only. The cpu kernel also takes a `dy` of another size than the
 * convolution would make, which transposed convolutions may ask for.
 */
function refusesGradient(kind: Kind, c: ConvGeometry, dy: TensorSpec, attrs: Attrs): string | undefined {
  if (c.dilations.some((dilation) => dilation !== 1)) return `dilations [${c.dilations}]`;
  const { shape } = imageSpec(kind, c, attrs);
  return shape.every((length, axis) => length === dy.shape[axis])
    ? undefined
    : `dy of shape [${dy.shape}], not [${shape}]`;
}

function ofInput(kind: Kind): Rule {
  return {
    since: 13,
    inputs: ['dy', 'filter'],
    refuses: (inputs, attrs) => {
      const [dy, filter] = inputs;
      const c = kind.geometry(attrs.inputShape, filter.shape, attrs);
      return refusesAllButFloat(inputs) ?? refusesGradient(kind, c, dy, attrs);
    },
    outputs: (_inputs, { inputShape }) => [{ shape: inputShape, dtype: 'float32' }],
    lower: (g, [dy, filter], attrs) => {
      const c = kind.geometry(attrs.inputShape, filter.shape, attrs);
      const layout = kind.image(attrs);
      return [g.view(inputGradient(g, g.in(layout, dy), onnxKernel(g, kind, filter, c), c), layout)];
    },
  };
}

function ofFilter(kind: Kind): Rule {
  return {
    since: 13,
    inputs: ['x', 'dy'],
    refuses: (inputs, attrs) => {
      const [x, dy] = inputs;
      const c = kind.geometry(x.shape, attrs.filterShape, attrs);
      return refusesAllButFloat(inputs) ?? refusesGradient(kind, c, dy, attrs);
    },
    outputs: (_inputs, { filterShape }) => [{ shape: filterShape, dtype: 'float32' }],
    lower: (g, [x, dy], attrs) => {
      const c = kind.geometry(x.shape, attrs.filterShape, attrs);
      const layout = kind.image(attrs);
      const gradient = kernelGradient(g, g.in(layout, x), g.in(layout, dy), c);
      const dims = kind.filter.map((axis) => attrs.filterShape[axis]);
      return [g.view(g.memory(g.reshape(gradient, dims)), kind.filter)];
    },
  };
}

export const CONVOLUTION: Record<string, Rule> = {
  Conv2D: forward(CONV_2D),
  FusedConv2D: fused(CONV_2D),
  Conv2DBackpropInput: ofInput(CONV_2D),
  Conv2DBackpropFilter: ofFilter(CONV_2D),

  GroupedConv2D: forward(CONV_2D),
  GroupedConv2DBackpropInput: ofInput(CONV_2D),
  GroupedConv2DBackpropFilter: ofFilter(CONV_2D),

  DepthwiseConv2dNative: forward(DEPTHWISE),
  FusedDepthwiseConv2D: fused(DEPTHWISE),
  DepthwiseConv2dNativeBackpropInput: ofInput(DEPTHWISE),
  DepthwiseConv2dNativeBackpropFilter: ofFilter(DEPTHWISE),

  Conv3D: forward(CONV_3D),
  Conv3DBackpropInputV2: ofInput(CONV_3D),
  Conv3DBackpropFilterV2: ofFilter(CONV_3D),
};
