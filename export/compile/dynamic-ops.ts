/**
 * Operators of graph models whose results are as long as the data say: non-maximum suppression and `Where`. tfjs reads
 * the data to compute them; while a program is traced, kernels of our own stand in, of a length that the trace chooses.
 */
import { UserError } from '../../base/errors.js';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { BRANCH_EXECUTORS, executeIf, type OpNode } from './branches.js';
import { SLICE_EXECUTORS } from './data-slices.js';
import { nextLength, type TracedLength } from './dynamic-lengths.js';
import { LIST_EXECUTORS } from './loop-lists.js';
import { executeWhile } from './loops.js';
import { watched } from './settled.js';

type OpExecutor = (node: OpNode) => tf.Tensor | tf.Tensor[] | Promise<tf.Tensor[]>;

/** Lengths to trace with: boxes are selected from what a condition selected. */
const BOXES = [7, 5] as const;
const PLACES = [23, 19] as const;

/** The length of a selection from `most`. The proof takes nearly all, so that what cuts it off further on is noticed. */
function nextSelection(most: number, few: readonly [number, number]): TracedLength {
  const where = recorder.tracing!.scope;
  if (most < 3)
    throw new UserError(`${where}: selects from ${most} at most; a graph cannot be traced for fewer than 3`);
  const traced = most > few[0] + 1 ? ([...few, most - 1] as const) : ([most - 1, most - 2, most] as const);
  return nextLength('selected', `how many ${where} selects`, traced);
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
    ...nextSelection(Math.min(maxOutputSize, boxes.shape[0]), BOXES),
  };
  return { kept: run('SelectBoxes', { boxes, scores }, attrs), most: maxOutputSize };
}

/** By TensorFlow's operator. */
const EXECUTORS: Record<string, OpExecutor> = {
  ...BRANCH_EXECUTORS,
  ...LIST_EXECUTORS,
  ...SLICE_EXECUTORS,
  If: executeIf,
  StatelessIf: executeIf,
  While: executeWhile,
  StatelessWhile: executeWhile,
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
    run('SelectTrue', { condition: tf.cast(condition, 'bool') }, nextSelection(condition.size, PLACES)),
};

let areRegistered = false;

/** Whether a program that is being traced computes the operator by these. */
export const isSelection = (op: string): boolean => areRegistered && op in EXECUTORS;

/** Registers them with the converter while `body` runs, for nodes whose category is `custom`. */
export async function withSelections<T>(body: () => Promise<T>): Promise<T> {
  const entries = Object.entries(EXECUTORS);
  for (const [op, executor] of entries) {
    const execute = (node: OpNode) => watched(executor(node));
    tfc.registerOp(op, execute as unknown as Parameters<typeof tfc.registerOp>[1]);
  }
  areRegistered = true;
  try {
    return await body();
  } finally {
    areRegistered = false;
    for (const [op] of entries) tfc.deregisterOp(op);
  }
}
