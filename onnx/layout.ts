/**
 * Layouts. tfjs is channels-last (NHWC, kernels HWIO), ONNX channels-first (NCHW, OIHW). A value keeps tfjs's shape and
 * carries the order in which its axes lie in memory; all transposing of numbers on the host happens here.
 */

/** Memory axis i is tensor axis layout[i]. The identity is tfjs's own order. */
export type Layout = readonly number[];

/** Memory N, C, H, W of a tensor [N, H, W, C]. */
export const NCHW: Layout = [0, 3, 1, 2];
/** Memory O, I, h, w of a convolution kernel [h, w, I, O]. */
export const OIHW: Layout = [3, 2, 0, 1];

/** By rank: every tensor begins with one. */
const identities: Layout[] = [];

/** Layout of a tensor in tfjs's own order. */
export function identity(rank: number): Layout {
  identities[rank] ??= Array.from({ length: rank }, (_, axis) => axis);
  return identities[rank];
}

export function isIdentity(layout: Layout): boolean {
  return layout.every((axis, index) => axis === index);
}

/** Of layouts, and of shapes. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** Where each axis went: inverse(l)[l[i]] = i. */
export function inverse(layout: Layout): number[] {
  const result = new Array<number>(layout.length);
  layout.forEach((axis, index) => {
    result[axis] = index;
  });
  return result;
}

/** Shape in memory of a tensor of `shape`. */
export function toMemory(shape: readonly number[], layout: Layout): number[] {
  return layout.map((axis) => shape[axis]);
}

/** The ONNX `Transpose` permutation that takes memory order `from` to memory order `to`. */
export function permutation(from: Layout, to: Layout): number[] {
  const position = inverse(from);
  return to.map((axis) => position[axis]);
}

/** True if permuting these dimensions moves nothing: axes longer than 1 keep their order. */
export function movesNothing(dims: readonly number[], perm: readonly number[]): boolean {
  const long = perm.filter((axis) => dims[axis] > 1);
  return long.every((axis, index) => index === 0 || axis > long[index - 1]);
}

/** Array types that tensors are kept in. */
export type TensorData = Float32Array | Int32Array | Uint8Array;

/**
 * Transposes on the host: result axis i is source axis perm[i].
 * @param data  values of shape `dims`, row-major
 */
export function transpose<T extends TensorData>(data: T, dims: readonly number[], perm: readonly number[]): T {
  if (movesNothing(dims, perm)) return data;
  const out = new (data.constructor as new (length: number) => T)(data.length);
  const strides = new Array<number>(dims.length);
  let step = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= dims[axis];
  }
  const outDims = perm.map((axis) => dims[axis]);
  const outStrides = perm.map((axis) => strides[axis]);
  const inner = outDims[outDims.length - 1];
  const innerStride = outStrides[outStrides.length - 1];
  const index = new Array<number>(perm.length - 1).fill(0);
  let source = 0;
  for (let at = 0; at < out.length; ) {
    for (let i = 0, from = source; i < inner; i++, from += innerStride) out[at++] = data[from];
    for (let axis = index.length - 1; axis >= 0; axis--) {
      source += outStrides[axis];
      if (++index[axis] < outDims[axis]) break;
      source -= outStrides[axis] * outDims[axis];
      index[axis] = 0;
    }
  }
  return out;
}
