/**
 * ONNX nodes of a convolution and its two gradients. Everything here is in ONNX's own order: images [N, C, …space],
 * kernels [O, I / groups, …space], space of two or three axes.
 */
import type { Attributes, Graph, Value } from '../graph.js';
import {
  interleaved,
  negated,
  padding,
  padSpace,
  pixelsMet,
  positions,
  spaceAxes,
  trimmed,
  turnedAround,
  type Windows,
} from './windows.js';

/** Attributes of `Conv`. */
type ConvAttributes = Record<'dilations' | 'kernel_shape' | 'strides', readonly number[]> &
  Attributes & { group: number; pads?: readonly number[] };

/** Geometry of one convolution. */
export interface ConvGeometry extends Windows {
  batch: number;
  inChannels: number;
  outChannels: number;
  groups: number;
}

const zeros = (axes: readonly number[]) => axes.map(() => 0);
const ones = (axes: readonly number[]) => axes.map(() => 1);

export function convolve(g: Graph, x: Value, kernel: Value, bias: Value | undefined, c: ConvGeometry): Value {
  const { inner, begin, end } = trimmed(c);
  const attributes = {
    dilations: c.dilations,
    group: c.groups,
    kernel_shape: c.kernel,
    ...padding(g, inner),
    strides: c.strides,
  };
  const inputs = [padSpace(g, x, begin, end), kernel, ...(bias ? [bias] : [])];
  return convNode(g, inputs, attributes, [c.batch, c.outChannels, ...c.output]);
}

/** Up to here groups are computed one by one where the runtime has no good kernel for them together. */
const FEW_GROUPS = 4;

/** True for groups whose channels are no multiple of 4 while all channels together are, or likewise of 2. */
function isOddGroup(channels: number, groups: number): boolean {
  const vector = [4, 2, 1].find((length) => channels % length === 0)!;
  return channels / groups >= 4 && (channels / groups) % vector > 0;
}

function convNode(g: Graph, inputs: Value[], attributes: ConvAttributes, dims: readonly number[]): Value {
  const { group } = attributes;
  const apart = group > 1 && (group <= FEW_GROUPS || isOddGroup(dims[1], group));
  if (!apart || g.has('Conv with groups')) return plainConvNode(g, inputs, attributes, dims);
  const [x, ...weights] = inputs;
  const part = (value: Value, axis: number, i: number) => {
    const length = value.dims[axis] / group;
    const cut = [i * length, (i + 1) * length, axis].map((n) => g.int64s([n]));
    return g.node('Slice', [value, ...cut], {}, value.dims.with(axis, length));
  };
  const results = Array.from({ length: group }, (_, i) => {
    const own = [part(x, 1, i), ...weights.map((value) => part(value, 0, i))];
    return plainConvNode(g, own, { ...attributes, group: 1 }, dims.with(1, dims[1] / group));
  });
  return g.node('Concat', results, { axis: 1 }, dims);
}

/** `Conv`, with a row more before the image, and one less of the result, where the runtime needs padding there. */
function plainConvNode(g: Graph, inputs: Value[], attributes: ConvAttributes, dims: readonly number[]): Value {
  const { kernel_shape: kernel, pads = [], strides } = attributes;
  const channels = attributes.group === 1 ? inputs[0].dims[1] : 0;
  if (channels > 3 && channels % 3 === 0 && channels % 4 > 0 && !g.has('Conv of 6, 9, 15 … channels')) {
    const none = 4 - (channels % 4);
    const [x, weights, ...bias] = inputs;
    return plainConvNode(g, [withChannels(g, x, none), withChannels(g, weights, none), ...bias], attributes, dims);
  }
  const asLarge = kernel.every((length, a) => inputs[0].dims[2 + a] === length && pads[a] === 0);
  if (!asLarge || pads.every((pad) => pad === 0) || g.has('Conv of an image as large as its kernel, padded at its end'))
    return g.node('Conv', inputs, attributes, dims);
  const before = { ...attributes, pads: pads.with(0, strides[0]) };
  const longer = g.node('Conv', inputs, before, dims.with(2, dims[2] + 1));
  const cut = [1, dims[2] + 1, 2].map((n) => g.int64s([n]));
  return g.node('Slice', [longer, ...cut], {}, dims);
}

/** `count` channels of zeros more. */
function withChannels(g: Graph, value: Value, count: number): Value {
  const [first, channels, ...space] = value.dims;
  const pads = g.int64s([...zeros(value.dims), 0, count, ...zeros(space)]);
  return g.node('Pad', [value, pads], { mode: 'constant' }, [first, channels + count, ...space]);
}

/**
 * Gradient of the input: the kernels turned by 180°, inputs and outputs exchanged. Stride 1 is itself a plain `Conv`,
 * which onnxruntime runs faster than `ConvTranspose`.
 */
export function inputGradient(g: Graph, dy: Value, kernel: Value, c: ConvGeometry): Value {
  if (c.strides.some((stride) => stride > 1)) {
    if (c.groups === 1 || g.has('ConvTranspose with groups')) return stridedInputGradient(g, dy, kernel, c);
    const output = c.output.map((length, a) => length * c.strides[a]);
    return inputGradient(g, interleaved(g, [dy], c.output, c.strides), kernel, { ...c, output, strides: ones(output) });
  }
  const begin = c.kernel.map((length, a) => length - 1 - c.padBegin[a]);
  const end = c.kernel.map((length, a) => c.input[a] - c.output[a] + length - 1 - begin[a]);
  const pads = [...begin, ...end];
  // Padding wider than the kernel makes these negative: `Pad` then crops, which `Conv` may not.
  const crops = pads.some((pad) => pad < 0);
  const attributes = {
    dilations: ones(c.kernel),
    group: c.groups,
    kernel_shape: c.kernel,
    pads: crops ? zeros(pads) : pads,
    strides: ones(c.kernel),
  };
  const inputs = [crops ? padSpace(g, dy, begin, end) : dy, turnedKernel(g, kernel, c)];
  return convNode(g, inputs, attributes, [c.batch, c.inChannels, ...c.input]);
}

/** ConvTranspose's weights are [in, out / groups, …] of its own direction: exactly those of the forward kernel. */
function stridedInputGradient(g: Graph, dy: Value, kernel: Value, c: ConvGeometry): Value {
  const { inner, begin, end } = trimmed(c);
  const outputPadding = inner.input.map(
    (length, a) => length - ((c.output[a] - 1) * c.strides[a] + c.kernel[a] - inner.padBegin[a] - inner.padEnd[a]),
  );
  const attributes = {
    group: c.groups,
    kernel_shape: c.kernel,
    output_padding: outputPadding,
    pads: [...inner.padBegin, ...inner.padEnd],
    strides: c.strides,
  };
  const gradient = g.node('ConvTranspose', [dy, kernel], attributes, [c.batch, c.inChannels, ...inner.input]);
  return padSpace(g, gradient, negated(begin), negated(end));
}

/** [O, I / groups, …] turned by 180° and exchanged group by group: [I, O / groups, …]. */
function turnedKernel(g: Graph, kernel: Value, c: ConvGeometry): Value {
  const [inPerGroup, outPerGroup] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const turned = turnedAround(g, kernel);
  if (c.groups === 1) return exchanged(g, turned);
  const split = [c.groups, outPerGroup, inPerGroup, ...c.kernel];
  const grouped = g.node('Reshape', [turned, g.int64s(split)], {}, split);
  const perm = [0, 2, 1, ...c.kernel.map((_, a) => 3 + a)];
  const swapped = g.node('Transpose', [grouped], { perm }, [c.groups, inPerGroup, outPerGroup, ...c.kernel]);
  const joined = [c.inChannels, outPerGroup, ...c.kernel];
  return g.node('Reshape', [swapped, g.int64s(joined)], {}, joined);
}

/** The first two axes exchanged. */
function exchanged(g: Graph, value: Value): Value {
  const [first, second, ...space] = value.dims;
  return g.node('Transpose', [value], { perm: [1, 0, ...spaceAxes(space)] }, [second, first, ...space]);
}

/** Up to here a kernel's gradient is faster as one blocked convolution than as products, which want wide matrices. */
const FEW_CHANNELS = 128;

function gradientAsConvolution(g: Graph, c: ConvGeometry): boolean {
  if (c.groups > 1) return false;
  if (c.inChannels <= 4) return true;
  const block = g.target.block ?? 0;
  const wholeBlocks = block > 0 && c.batch % block === 0 && c.outChannels % block === 0;
  return wholeBlocks && c.outChannels <= FEW_CHANNELS && c.strides.every((stride) => stride === 1);
}

/**
 * Gradient of the kernel. Few channels (conv1, small nets): one `Conv` whose image is x and whose kernel is dy, batch
 * and channels exchanged, strides turned to dilations. Otherwise one `MatMul` for each kernel position over all images'
 * pixels.
 */
export function kernelGradient(g: Graph, x: Value, dy: Value, c: ConvGeometry): Value {
  if (!g.has('MatMul of few rows and a long sum')) return kernelGradientByImage(g, x, dy, c);
  const inPerGroup = c.inChannels / c.groups;
  const dims = [c.outChannels, inPerGroup, ...c.kernel];
  const dyT = exchanged(g, dy);
  if (gradientAsConvolution(g, c)) {
    // Exactly what the windows see: with more, the result would grow by rows that are not a kernel's.
    const image = exchanged(g, padSpace(g, x, c.padBegin, c.padEnd));
    const attributes = {
      dilations: c.strides,
      group: 1,
      kernel_shape: c.output,
      pads: zeros([...c.kernel, ...c.kernel]),
      strides: ones(c.kernel),
    };
    return exchanged(g, convNode(g, [image, dyT], attributes, [c.inChannels, c.outChannels, ...c.kernel]));
  }
  const pixels = c.output.reduce((product, length) => product * length, c.batch);
  const rows = [c.groups, c.outChannels / c.groups, pixels];
  const dyRows = g.node('Reshape', [dyT, g.int64s(rows)], {}, rows);
  const padEnd = c.padEnd.map((pad) => Math.max(pad, 0));
  const xT = exchanged(g, padSpace(g, x, c.padBegin, padEnd));
  const taps = positions(c.kernel).map((position) => lowerTap(g, xT, dyRows, c, position));
  const stacked = g.node('Concat', taps, { axis: 3 }, [c.groups, c.outChannels / c.groups, inPerGroup, taps.length]);
  return g.node('Reshape', [stacked, g.int64s(dims)], {}, dims);
}

/** dy · xᵀ for the pixels that one kernel position met: [groups, out / groups, in / groups, 1]. */
function lowerTap(g: Graph, xT: Value, dyRows: Value, c: ConvGeometry, position: number[]): Value {
  const inPerGroup = c.inChannels / c.groups;
  const rows = [c.groups, inPerGroup, dyRows.dims[2]];
  const flat = g.node('Reshape', [pixelsMet(g, xT, c, position), g.int64s(rows)], {}, rows);
  const columns = g.node('Transpose', [flat], { perm: [0, 2, 1] }, [c.groups, dyRows.dims[2], inPerGroup]);
  const product = [c.groups, dyRows.dims[1], inPerGroup];
  const tap = g.node('MatMul', [dyRows, columns], {}, product);
  return g.node('Unsqueeze', [tap, g.int64s([3])], {}, [...product, 1]);
}

/** Products of matrices with fewer rows leave a part of a GPU's tile idle. */
const ROWS_OF_TILE = 32;

/**
 * Gradient of the kernel, image by image and then summed: as many products at once as there are images and groups, each
 * over one image's pixels. One product over all images' pixels keeps few of a GPU's cores busy.
 */
function kernelGradientByImage(g: Graph, x: Value, dy: Value, c: ConvGeometry): Value {
  const [inPerGroup, outPerGroup] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const pixels = c.output.reduce((product, length) => product * length, 1);
  const reshape = (value: Value, dims: number[]) => g.node('Reshape', [value, g.int64s(dims)], {}, dims);
  const rows = reshape(dy, [c.batch, c.groups, outPerGroup, pixels]);
  const columns = [c.batch, c.groups, pixels, outPerGroup];
  const dyT = g.node('Transpose', [rows], { perm: [0, 1, 3, 2] }, columns);
  const padEnd = c.padEnd.map((pad) => Math.max(pad, 0));
  const padded = padSpace(g, x, c.padBegin, padEnd);
  const met = positions(c.kernel).map((position) =>
    reshape(pixelsMet(g, padded, c, position), [c.batch, c.groups, inPerGroup, pixels]),
  );
  const together = Math.ceil(ROWS_OF_TILE / inPerGroup);
  const sums: Value[] = [];
  for (let start = 0; start < met.length; start += together) {
    const part = met.slice(start, start + together);
    const height = part.length * inPerGroup;
    const left = g.node('Concat', part, { axis: 2 }, [c.batch, c.groups, height, pixels]);
    const product = g.node('MatMul', [left, dyT], {}, [c.batch, c.groups, height, outPerGroup]);
    const sum = [c.groups, height, outPerGroup];
    sums.push(g.node('ReduceSum', [product, g.int64s([0])], { keepdims: 0 }, sum));
  }
  const all = g.node('Concat', sums, { axis: 1 }, [c.groups, met.length * inPerGroup, outPerGroup]);
  const apart = reshape(all, [c.groups, met.length, inPerGroup, outPerGroup]);
  const turned = [c.groups, outPerGroup, inPerGroup, met.length];
  const gradient = g.node('Transpose', [apart], { perm: [0, 3, 2, 1] }, turned);
  return reshape(gradient, [c.outChannels, inPerGroup, ...c.kernel]);
}
