/** Slices of graph models that begin where the data say, such as `x[:, i]` in the round `i` of a loop: `Gather`. */
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { TensorRecord } from '../../onnx/backend/record.js';
import { dependsOnData, type OpNode } from './branches.js';

const MASKS = ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'];

/** Throws if they depend on data. */
const numbersOf = (tensor: tf.Tensor) => Array.from(tensor.dataSync());

/** `length` entries along an axis from the one that `begin` says for it; counted from the end if that is negative. */
function entriesFrom(x: tf.Tensor, axis: number, begin: tf.Tensor, length: number): tf.Tensor {
  const given = tf.cast(tf.slice(begin, [axis], [1]), 'int32');
  const first = tf.where(tf.less(given, 0), tf.add(given, tf.scalar(x.shape[axis], 'int32')), given);
  const places = length === 1 ? first : tf.add(first, tf.range(0, length, 1, 'int32'));
  return tf.gather(x, places as tf.Tensor1D, axis);
}

function stridedSlice({ inputs: [x, begin, end, strides], attrs }: OpNode): tf.Tensor {
  const masks = MASKS.map((mask) => Number(attrs[mask] ?? 0));
  const [beginMask, endMask, ellipsisMask, newAxisMask, shrinkMask] = masks;
  const has = (mask: number, axis: number) => ((mask >> axis) & 1) === 1;
  const axes = Array.from({ length: begin.size }, (_, axis) => axis);
  const steps = numbersOf(strides);
  const isWhole = (axis: number) => has(beginMask, axis) && has(endMask, axis) && steps[axis] === 1;
  const isEntries = !ellipsisMask && !newAxisMask && axes.every((axis) => has(shrinkMask, axis) || isWhole(axis));
  if (isEntries && dependsOnData(begin)) {
    const single = axes.filter((axis) => has(shrinkMask, axis));
    const entries = single.reduce((value, axis) => entriesFrom(value, axis, begin, 1), x);
    return tf.squeeze(entries, single);
  }
  return tf.stridedSlice(x, numbersOf(begin), numbersOf(end), steps, ...masks);
}

/** True if an entry of a packed vector is known to be 0, though others may depend on data. */
function isZeroAt(packed: tf.Tensor, at: number): boolean {
  const call = (tf.backend() as OnnxruntimeBackend).recordOf(packed.dataId).source?.call;
  const entry = call?.kernel === 'Pack' ? (call.inputs[at] as TensorRecord) : undefined;
  return entry !== undefined && !recorder.dependsOnInput(entry) && entry.values?.[0] === 0;
}

function slice({ inputs: [x, begin, size] }: OpNode): tf.Tensor {
  const lengths = numbersOf(size);
  if (!dependsOnData(begin)) return tf.slice(x, numbersOf(begin), lengths);
  return lengths.reduce((value, length, axis) => {
    if (length === x.shape[axis] || (length === -1 && isZeroAt(begin, axis))) return value;
    return entriesFrom(value, axis, begin, length === -1 ? x.shape[axis] - numbersOf(begin)[axis] : length);
  }, x);
}

/** By TensorFlow's operator. */
export const SLICE_EXECUTORS: Record<string, (node: OpNode) => tf.Tensor> = {
  StridedSlice: stridedSlice,
  Slice: slice,
};
