/**
 * Operators of graph models whose results are as long as the data say: non-maximum suppression and `Where`. tfjs reads
 * the data to compute them; while a program is traced, kernels of our own stand in, of a length that the trace chooses.
 */
import { UserError } from '../../base/errors.js';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { BRANCH_EXECUTORS, executeIf, type OpNode } from './branches.js';
import type { FreeAxis } from './free-axes.js';

type OpExecutor = (node: OpNode) => tf.Tensor | tf.Tensor[] | Promise<tf.Tensor[]>;

/** Lengths that data decide, in the order in which they are met. */
export interface DynamicLengths {
  /** Which of an axis's traced lengths it takes. */
  point(index: number): 0 | 1 | 2;
  /** Filled by the first trace, followed by the others. */
  readonly axes: FreeAxis[];
}

/** Lengths to trace with: boxes are selected from what a condition selected. */
const BOXES = [7, 5] as const;
const PLACES = [23, 19] as const;

let current: (DynamicLengths & { count(): number }) | undefined;

/** Calls `body` with lengths for what it selects. */
export async function withLengths<T>(lengths: DynamicLengths, body: () => Promise<T>): Promise<T> {
  const outer = current;
  let met = 0;
  current = { ...lengths, count: () => met++ };
  try {
    return await body();
  } finally {
    current = outer;
  }
}

/**
 * The next axis, of at most `most`, as the first trace chose it. The proof takes nearly all, so that what cuts it off
 * further on is noticed.
 */
function nextLength(most: number, few: readonly [number, number]): { index: number; length: number } {
  const { axes, point, count } = current!;
  const index = count();
  const where = recorder.tracing!.scope;
  if (most < 3)
    throw new UserError(`${where}: selects from ${most} at most; a graph cannot be traced for fewer than 3`);
  axes[index] ??= {
    name: `selected${index === 0 ? '' : index}`,
    what: `how many ${where} selects`,
    advice: 'cut the model before it with --outputs',
    traced: most > few[0] + 1 ? [...few, most - 1] : [most - 1, most - 2, most],
  };
  return { index, length: axes[index].traced[point(index)] };
}

const run = (kernel: string, inputs: Record<string, tf.Tensor>, attrs: object) =>
  tf.engine().runKernel(kernel, inputs, attrs as never) as tf.Tensor;

const numberOf = (tensor: tf.Tensor) => Number(tensor.dataSync()[0]);

function selectBoxes([boxes, scores, most, iou, score, sigma]: tf.Tensor[]): { kept: tf.Tensor; most: number } {
  if (sigma && numberOf(sigma) !== 0)
    throw new UserError(`${recorder.tracing!.scope}: non-maximum suppression with soft scores has no ONNX operator`);
  const maxOutputSize = numberOf(most);
  const scoreThreshold = score && Number.isFinite(numberOf(score)) ? numberOf(score) : null;
  const attrs = {
    maxOutputSize,
    iouThreshold: numberOf(iou),
    scoreThreshold,
    ...nextLength(Math.min(maxOutputSize, boxes.shape[0]), BOXES),
  };
  return { kept: run('SelectBoxes', { boxes, scores }, attrs), most: maxOutputSize };
}

/** By TensorFlow's operator. */
const EXECUTORS: Record<string, OpExecutor> = {
  ...BRANCH_EXECUTORS,
  If: executeIf,
  StatelessIf: executeIf,
  NonMaxSuppressionV2: ({ inputs }) => selectBoxes(inputs).kept,
  NonMaxSuppressionV3: ({ inputs }) => selectBoxes(inputs).kept,
  NonMaxSuppressionV4: ({ inputs, attrs }) => {
    const { kept, most } = selectBoxes(inputs);
    const [count] = kept.shape;
    const valid = tf.scalar(count, 'int32');
    return [attrs.pad_to_max_output_size ? tf.pad(kept, [[0, most - count]]) : kept, valid];
  },
  NonMaxSuppressionV5: ({ inputs }) => {
    const { kept } = selectBoxes(inputs);
    return [kept, tf.gather(inputs[1], kept as tf.Tensor1D), tf.scalar(kept.shape[0], 'int32')];
  },
  Where: ({ inputs: [condition] }) =>
    run('SelectTrue', { condition: tf.cast(condition, 'bool') }, nextLength(condition.size, PLACES)),
};

/** Whether a program that is being traced computes the operator by these. */
export const isSelection = (op: string): boolean => current !== undefined && op in EXECUTORS;

/** Registers them with the converter while `body` runs, for nodes whose category is `custom`. */
export async function withSelections<T>(body: () => Promise<T>): Promise<T> {
  const entries = Object.entries(EXECUTORS);
  for (const [op, executor] of entries) tfc.registerOp(op, executor as unknown as Parameters<typeof tfc.registerOp>[1]);
  try {
    return await body();
  } finally {
    for (const [op] of entries) tfc.deregisterOp(op);
  }
}
