/**
 * Convolutions and their gradients, computed in NCHW with kernels OIHW. `groups` > 1 is our own kernel `GroupedConv2D`
 * (model/grouped-conv2d.ts), one `Conv` with `group` here; tfjs's kernels are the case of one group.
 */
import { backend_util } from '@tensorflow/tfjs-core';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { NCHW, OIHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { activate, refusesActivation } from './activation.js';

type Shape4 = [number, number, number, number];

/** Geometry of one convolution, [height, width] throughout. */
export interface ConvGeometry {
  input: [number, number];
  output: [number, number];
  kernel: [number, number];
  strides: [number, number];
  dilations: [number, number];
  /** Zeros before the picture, and after it as far as a window reaches. */
  padBegin: [number, number];
  padEnd: [number, number];
  batch: number;
  inChannels: number;
  outChannels: number;
  groups: number;
}

/** @param filterShape  HWIO, its I counted in one group */
export function convGeometry(xShape: readonly number[], filterShape: readonly number[], attrs: Attrs): ConvGeometry {
  const groups = attrs.groups ?? 1;
  const [kh, kw, inPerGroup, outChannels] = filterShape;
  const info = backend_util.computeConv2DInfo(
    [...xShape] as Shape4,
    [kh, kw, inPerGroup * groups, outChannels],
    attrs.strides,
    attrs.dilations ?? [1, 1],
    attrs.pad,
    attrs.dimRoundingMode,
  );
  const g = {
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    kernel: [kh, kw],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    padBegin: [info.padInfo.top, info.padInfo.left],
  } as Omit<ConvGeometry, 'padEnd' | 'batch' | 'inChannels' | 'outChannels' | 'groups'>;
  const reach = (axis: 0 | 1) => (g.output[axis] - 1) * g.strides[axis] + (g.kernel[axis] - 1) * g.dilations[axis] + 1;
  const padEnd = ([0, 1] as const).map((axis) => Math.max(0, reach(axis) - g.input[axis] - g.padBegin[axis])) as [
    number,
    number,
  ];
  return { ...g, padEnd, batch: xShape[0], inChannels: inPerGroup * groups, outChannels, groups };
}

const nhwc = (g: ConvGeometry): TensorSpec => ({ shape: [g.batch, ...g.output, g.outChannels], dtype: 'float32' });

function refuses(inputs: TensorSpec[], attrs: Attrs): string | undefined {
  if (attrs.dataFormat !== undefined && attrs.dataFormat !== 'NHWC') return `dataFormat ${attrs.dataFormat}`;
  return refusesAllButFloat(inputs);
}

function lowerConv(g: Graph, x: Value, filter: Value, bias: Value | undefined, attrs: Attrs): Value {
  const geometry = convGeometry(x.shape, filter.shape, attrs);
  const inputs = [g.in(NCHW, x), g.in(OIHW, filter), ...(bias ? [g.memory(bias)] : [])];
  const attributes = {
    dilations: geometry.dilations,
    group: geometry.groups,
    kernel_shape: geometry.kernel,
    pads: [...geometry.padBegin, ...geometry.padEnd],
    strides: geometry.strides,
  };
  return g.view(g.node('Conv', inputs, attributes, [geometry.batch, geometry.outChannels, ...geometry.output]), NCHW);
}

const conv: Rule = {
  since: 11,
  inputs: ['x', 'filter'],
  refuses,
  outputs: ([x, filter], attrs) => [nhwc(convGeometry(x.shape, filter.shape, attrs))],
  lower: (g, [x, filter], attrs) => [lowerConv(g, x, filter, undefined, attrs)],
};

/**
 * Gradient of the input: the kernels turned by 180°, inputs and outputs exchanged. Stride 1 is itself a plain `Conv`, which
 * onnxruntime runs faster than `ConvTranspose`.
 */
function lowerInputGradient(g: Graph, dy: Value, filter: Value, attrs: Attrs): Value {
  const c = convGeometry(attrs.inputShape, filter.shape, attrs);
  const dims = [c.batch, c.inChannels, ...c.input];
  const stride1 = c.strides[0] === 1 && c.strides[1] === 1;
  if (!stride1) {
    const outputPadding = ([0, 1] as const).map(
      (a) => c.input[a] - ((c.output[a] - 1) * c.strides[a] + c.kernel[a] - c.padBegin[a] - c.padEnd[a]),
    );
    // ConvTranspose's weights are [in, out / groups, h, w] of its own direction: exactly OIHW of the forward kernel.
    const attributes = {
      group: c.groups,
      kernel_shape: c.kernel,
      output_padding: outputPadding,
      pads: [...c.padBegin, ...c.padEnd],
      strides: c.strides,
    };
    return g.view(g.node('ConvTranspose', [g.in(NCHW, dy), g.in(OIHW, filter)], attributes, dims), NCHW);
  }
  const [inPerGroup, outPerGroup] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const [kh, kw] = c.kernel;
  const far = -(2 ** 31);
  const turned = g.node(
    'Slice',
    [g.in(OIHW, filter), g.int64s([-1, -1]), g.int64s([far, far]), g.int64s([2, 3]), g.int64s([-1, -1])],
    {},
    [c.outChannels, inPerGroup, kh, kw],
  );
  let exchanged: Value;
  if (c.groups === 1) {
    exchanged = g.node('Transpose', [turned], { perm: [1, 0, 2, 3] }, [c.inChannels, c.outChannels, kh, kw]);
  } else {
    const split = [c.groups, outPerGroup, inPerGroup, kh, kw];
    const grouped = g.node('Reshape', [turned, g.int64s(split)], {}, split);
    const perm = g.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] }, [c.groups, inPerGroup, outPerGroup, kh, kw]);
    const joined = [c.inChannels, outPerGroup, kh, kw];
    exchanged = g.node('Reshape', [perm, g.int64s(joined)], {}, joined);
  }
  const begin = [kh - 1 - c.padBegin[0], kw - 1 - c.padBegin[1]];
  const end = ([0, 1] as const).map((a) => c.input[a] - c.output[a] + c.kernel[a] - 1 - begin[a]);
  const pads = [...begin, ...end];
  // Padding wider than the kernel makes these negative: `Pad` then crops, which `Conv` may not.
  const crops = pads.some((pad) => pad < 0);
  const picture = crops ? padHW(g, g.in(NCHW, dy), begin, end) : g.in(NCHW, dy);
  const attributes = {
    dilations: [1, 1],
    group: c.groups,
    kernel_shape: c.kernel,
    pads: crops ? [0, 0, 0, 0] : pads,
    strides: [1, 1],
  };
  return g.view(g.node('Conv', [picture, exchanged], attributes, dims), NCHW);
}

/** Zeros around H and W, or fewer pixels where a count is negative. */
function padHW(g: Graph, x: Value, begin: readonly number[], end: readonly number[]): Value {
  if ([...begin, ...end].every((pad) => pad === 0)) return x;
  const [n, channels, h, w] = x.dims;
  const dims = [n, channels, h + begin[0] + end[0], w + begin[1] + end[1]];
  return g.node('Pad', [x, g.int64s([0, 0, ...begin, 0, 0, ...end])], { mode: 'constant' }, dims);
}

/**
 * Gradient of the kernel. Few input channels (conv1): one `Conv` whose picture is x and whose kernel is dy, batch and channels
 * exchanged, strides turned to dilations. Otherwise one `MatMul` for each kernel position over all pictures' pixels.
 */
function lowerFilterGradient(g: Graph, x: Value, dy: Value, attrs: Attrs): Value {
  const c = convGeometry(x.shape, attrs.filterShape, attrs);
  const inPerGroup = c.inChannels / c.groups;
  const dims = [c.outChannels, inPerGroup, ...c.kernel];
  const swap = (value: Value) => {
    const [n, channels, h, w] = value.dims;
    return g.node('Transpose', [value], { perm: [1, 0, 2, 3] }, [channels, n, h, w]);
  };
  const dyT = swap(g.in(NCHW, dy));
  if (c.groups === 1 && c.inChannels <= 4) {
    // The window grid may end before the picture does: cut what no window saw, or the result grows by rows that are no kernel's.
    const seen = ([0, 1] as const).map((a) => (c.output[a] - 1) * c.strides[a] + c.kernel[a]);
    const picture = cropped(g, padHW(g, g.in(NCHW, x), c.padBegin, c.padEnd), seen);
    const attributes = { dilations: c.strides, group: 1, kernel_shape: c.output, pads: [0, 0, 0, 0], strides: [1, 1] };
    const gradient = g.node('Conv', [swap(picture), dyT], attributes, [c.inChannels, c.outChannels, ...c.kernel]);
    return g.view(swap(gradient), OIHW);
  }
  const pixels = c.batch * c.output[0] * c.output[1];
  const rows = [c.groups, c.outChannels / c.groups, pixels];
  const dyRows = g.node('Reshape', [dyT, g.int64s(rows)], {}, rows);
  const xT = swap(padHW(g, g.in(NCHW, x), c.padBegin, c.padEnd));
  const taps: Value[] = [];
  for (let i = 0; i < c.kernel[0]; i++)
    for (let j = 0; j < c.kernel[1]; j++) taps.push(lowerTap(g, xT, dyRows, c, i, j));
  const stacked = g.node('Concat', taps, { axis: 3 }, [c.groups, c.outChannels / c.groups, inPerGroup, taps.length]);
  return g.view(g.node('Reshape', [stacked, g.int64s(dims)], {}, dims), OIHW);
}

/** dy · xᵀ for the pixels that kernel position (i, j) met: [groups, out / groups, in / groups, 1]. */
function lowerTap(g: Graph, xT: Value, dyRows: Value, c: ConvGeometry, i: number, j: number): Value {
  const inPerGroup = c.inChannels / c.groups;
  const ends = [i + (c.output[0] - 1) * c.strides[0] + 1, j + (c.output[1] - 1) * c.strides[1] + 1];
  const met = g.node('Slice', [xT, g.int64s([i, j]), g.int64s(ends), g.int64s([2, 3]), g.int64s(c.strides)], {}, [
    c.inChannels,
    c.batch,
    ...c.output,
  ]);
  const rows = [c.groups, inPerGroup, dyRows.dims[2]];
  const flat = g.node('Reshape', [met, g.int64s(rows)], {}, rows);
  const columns = g.node('Transpose', [flat], { perm: [0, 2, 1] }, [c.groups, dyRows.dims[2], inPerGroup]);
  const product = [c.groups, dyRows.dims[1], inPerGroup];
  const tap = g.node('MatMul', [dyRows, columns], {}, product);
  return g.node('Unsqueeze', [tap, g.int64s([3])], {}, [...product, 1]);
}

function cropped(g: Graph, x: Value, [height, width]: number[]): Value {
  if (x.dims[2] === height && x.dims[3] === width) return x;
  return g.node('Slice', [x, g.int64s([0, 0]), g.int64s([height, width]), g.int64s([2, 3])], {}, [
    x.dims[0],
    x.dims[1],
    height,
    width,
  ]);
}

const inputGradient: Rule = {
  since: 13,
  inputs: ['dy', 'filter'],
  refuses,
  outputs: (_inputs, { inputShape }) => [{ shape: inputShape, dtype: 'float32' }],
  lower: (g, [dy, filter], attrs) => [lowerInputGradient(g, dy, filter, attrs)],
};

const filterGradient: Rule = {
  since: 13,
  inputs: ['x', 'dy'],
  refuses,
  outputs: (_inputs, { filterShape }) => [{ shape: filterShape, dtype: 'float32' }],
  lower: (g, [x, dy], attrs) => [lowerFilterGradient(g, x, dy, attrs)],
};

export const CONVOLUTION: Record<string, Rule> = {
  Conv2D: conv,
  GroupedConv2D: conv,
  FusedConv2D: {
    ...conv,
    inputs: ['x', 'filter', 'bias?', 'preluActivationWeights?'],
    refuses: (inputs, attrs) => refuses(inputs, attrs) ?? refusesActivation(attrs) ?? refusesBias(inputs[2]),
    lower: (g, [x, filter, bias], attrs) => [activate(g, lowerConv(g, x, filter, bias, attrs), attrs)],
  },
  Conv2DBackpropInput: inputGradient,
  GroupedConv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: filterGradient,
  GroupedConv2DBackpropFilter: filterGradient,
};

function refusesBias(bias: TensorSpec | undefined): string | undefined {
  return bias && bias.shape.length !== 1 ? `bias of shape [${bias.shape}]` : undefined;
}
