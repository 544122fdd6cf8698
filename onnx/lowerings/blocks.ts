/** Kernels that move blocks of pixels to the batch or from the depth: reshape, exchange axes, reshape. */
import { backend_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import type { Rule } from '../rule.js';
import { cut, pad, padded, sliceParams, transposed } from './shape.js';

/** Reshaped to `split`, its axes exchanged by `perm`, reshaped to `joined`. */
function regroup(g: Graph, x: Value, split: number[], perm: number[], joined: number[]): Value {
  return g.reshape(transposed(g, g.reshape(x, split), perm), joined);
}

function depthToSpaceShape([n, height, width, depth]: readonly number[], { blockSize }: Attrs): number[] {
  return [n, height * blockSize, width * blockSize, depth / (blockSize * blockSize)];
}

/** Paddings for every axis: tfjs gives those of the blocks' axes, which follow the batch. */
function allPaddings({ length: rank }: readonly number[], { paddings }: Attrs): [number, number][] {
  return Array.from({ length: rank }, (_, axis) => paddings[axis - 1] ?? [0, 0]);
}

function spaceToBatch(shape: readonly number[], attrs: Attrs) {
  const { blockShape } = attrs;
  const paddings = allPaddings(shape, attrs);
  const whole = padded(shape, paddings);
  const blocks = util.sizeFromShape(blockShape);
  const split = backend_util.getReshaped(whole, blockShape, blocks, false);
  const perm = backend_util.getPermuted(split.length, blockShape.length, false);
  return { paddings, split, perm, joined: backend_util.getReshapedPermuted(whole, blockShape, blocks, false) };
}

function batchToSpace(shape: readonly number[], { blockShape, crops }: Attrs) {
  const blocks = util.sizeFromShape(blockShape);
  const split = backend_util.getReshaped([...shape], blockShape, blocks);
  const perm = backend_util.getPermuted(split.length, blockShape.length);
  const joined = backend_util.getReshapedPermuted([...shape], blockShape, blocks);
  const [begin, size] = sliceParams(
    { shape: joined },
    {
      begin: backend_util.getSliceBeginCoords(crops, blockShape.length),
      size: backend_util.getSliceSize(joined, crops, blockShape.length),
    },
  );
  return { split, perm, joined, begin, size };
}

export const BLOCKS: Record<string, Rule> = {
  DepthToSpace: {
    since: 13,
    inputs: ['x'],
    refuses: (_inputs, { dataFormat }) => (dataFormat === 'NHWC' ? undefined : `dataFormat ${dataFormat}`),
    outputs: ([x], attrs) => [{ shape: depthToSpaceShape(x.shape, attrs), dtype: x.dtype }],
    lower: (g, [x], attrs) => {
      const [n, height, width] = x.shape;
      const joined = depthToSpaceShape(x.shape, attrs);
      const split = [n, height, width, attrs.blockSize, attrs.blockSize, joined[3]];
      return [regroup(g, x, split, [0, 1, 3, 2, 4, 5], joined)];
    },
  },
  SpaceToBatchND: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], attrs) => [{ shape: spaceToBatch(x.shape, attrs).joined, dtype: x.dtype }],
    lower: (g, [x], attrs) => {
      const { paddings, split, perm, joined } = spaceToBatch(x.shape, attrs);
      return [regroup(g, pad(g, x, paddings, 0), split, perm, joined)];
    },
  },
  BatchToSpaceND: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], attrs) => [{ shape: batchToSpace(x.shape, attrs).size, dtype: x.dtype }],
    lower: (g, [x], attrs) => {
      const { split, perm, joined, begin, size } = batchToSpace(x.shape, attrs);
      return [cut(g, regroup(g, x, split, perm, joined), begin, size)];
    },
  },
};
