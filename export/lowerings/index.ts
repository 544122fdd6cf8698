/**
 * The lowering table: tfjs kernel → ONNX. Shared by the exporter, which writes the nodes to a file, and by the tfjs backend
 * `onnxruntime`, which runs them. A kernel is found by its name; a name given twice is an error.
 */
import type { Rule } from '../rule.js';
import { CONVOLUTION } from './convolution.js';
import { ELEMENTWISE } from './elementwise.js';
import { MATMUL } from './matmul.js';
import { NORMALIZATION } from './normalization.js';
import { POOLING } from './pooling.js';
import { REDUCTION } from './reduction.js';
import { SHAPE } from './shape.js';

export const LOWERINGS: ReadonlyMap<string, Rule> = join(
  CONVOLUTION,
  ELEMENTWISE,
  MATMUL,
  NORMALIZATION,
  POOLING,
  REDUCTION,
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
