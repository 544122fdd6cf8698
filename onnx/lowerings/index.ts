/**
 * The lowering table: tfjs kernel → ONNX. Shared by the exporter, which writes the nodes to a file, and by the tfjs
 * backend `onnxruntime`, which runs them. A kernel is found by its name; a name given twice is an error.
 */
import type { Rule } from '../rule.js';
import { BATCH_NORM } from './batch-norm.js';
import { BINARY } from './binary.js';
import { BLOCKS } from './blocks.js';
import { COMPARISON } from './comparison.js';
import { CONVOLUTION } from './convolution.js';
import { CREATION } from './creation.js';
import { CUMULATIVE } from './cumulative.js';
import { CUT_IMAGES } from './cut-images.js';
import { DILATION } from './dilation.js';
import { EINSUM } from './einsum.js';
import { GATHER_SCATTER } from './gather-scatter.js';
import { IMAGE } from './image.js';
import { LOOP } from './loop.js';
import { MATMUL } from './matmul.js';
import { NORMALIZATION } from './normalization.js';
import { POOLING } from './pooling.js';
import { REDUCTION } from './reduction.js';
import { RESIZE } from './resize.js';
import { SELECTION } from './selection.js';
import { SHAPE } from './shape.js';
import { SLICING } from './slicing.js';
import { UNARY } from './unary.js';

export const LOWERINGS: ReadonlyMap<string, Rule> = join(
  BATCH_NORM,
  BLOCKS,
  GATHER_SCATTER,
  RESIZE,
  SLICING,
  CONVOLUTION,
  BINARY,
  COMPARISON,
  CREATION,
  CUMULATIVE,
  CUT_IMAGES,
  DILATION,
  EINSUM,
  UNARY,
  IMAGE,
  LOOP,
  MATMUL,
  NORMALIZATION,
  POOLING,
  REDUCTION,
  SELECTION,
  SHAPE,
);

function join(...families: Record<string, Rule>[]): Map<string, Rule> {
  const table = new Map<string, Rule>();
  for (const [kernel, rule] of families.flatMap((family) => Object.entries(family))) {
    if (table.has(kernel)) throw new Error(`two lowering rules for kernel ${kernel}`);
    table.set(kernel, rule);
  }
  return table;
}
