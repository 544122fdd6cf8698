/**
 * Lists of tensors (TensorList, TensorArray) in loops whose rounds the data decide. An empty list to which every round
 * adds one value is a scan output of ONNX's `Loop`: after the loop it holds one tensor of all of them. Values are read
 * by the number of a round with `Gather`.
 */
import { tf } from '../../base/tfjs/core.js';
import { type CallingNode, dependsOnData, type OpNode } from './branches.js';

/** A list, as the converter has it; its methods are replaced in lists that a loop filled. */
export interface List {
  /** Of a TensorArray, with what was done to each. */
  tensors: (tf.Tensor | { tensor: tf.Tensor })[];
  size(): number;
  gather(indices: number[] | undefined): tf.Tensor;
  stack?(): tf.Tensor;
  concat(): tf.Tensor;
  pushBack?(value: tf.Tensor): void;
}

/** A value that a round adds, and where; absent: at the end. */
export interface Addition {
  value: tf.Tensor;
  index?: tf.Tensor;
}

type Additions = Map<List, Addition[]>;

/** Of the loops that are being traced, the inner ones last. */
const traced: Additions[] = [];

/** The list that a tensor is the handle of. */
export const listOf = ({ context }: CallingNode, { id }: tf.Tensor): List | undefined =>
  (context.tensorListMap[id] ?? context.tensorArrayMap[id]) as List | undefined;

/** What `round` adds to these lists, which stay as they are. */
export async function additionsOf<T>(
  lists: readonly List[],
  round: () => Promise<T>,
): Promise<{ result: T; additions: Additions }> {
  const additions: Additions = new Map(lists.map((list) => [list, []]));
  const pushed = lists.map((list) => list.pushBack);
  for (const list of lists)
    if (list.pushBack) list.pushBack = (value) => void additions.get(list)!.push({ value: tf.clone(value) });
  traced.push(additions);
  try {
    return { result: await round(), additions };
  } finally {
    traced.splice(traced.indexOf(additions), 1); // another may have begun meanwhile
    for (const [i, list] of lists.entries()) if (pushed[i]) list.pushBack = pushed[i];
  }
}

/** True if a round around this one may add to the list: what an inner loop adds cannot be one value. */
export const isAddedTo = (list: List): boolean => traced.some((additions) => additions.has(list));

/** What loops filled lists with. */
const filled = new WeakMap<List, tf.Tensor>();

/** Makes the list hold the entries of `all`. */
export function fill(list: List, all: tf.Tensor): void {
  const count = all.shape[0];
  filled.set(list, all);
  list.size = () => count;
  list.stack = () => tf.clone(all);
  list.gather = (indices) => {
    const some = indices?.slice(0, count);
    const isAll = !some || (some.length === count && some.every((index, i) => index === i));
    return isAll ? tf.clone(all) : tf.gather(all, tf.tensor1d(some, 'int32'));
  };
  list.concat = () => tf.reshape(all, [-1, ...all.shape.slice(2)]);
}

/** A copy of what a list holds, to put back. */
export const entriesOf = ({ tensors }: List): List['tensors'] =>
  tensors.map((entry) => (entry instanceof tf.Tensor ? entry : { ...entry }));

/** The list's values as one tensor. */
const stacked = (list: List) =>
  filled.get(list) ?? tf.stack(list.tensors.map((entry) => (entry instanceof tf.Tensor ? entry : entry.tensor)));

interface IndexedList extends List {
  setItem(index: number, value: tf.Tensor): void;
  write(index: number, value: tf.Tensor): void;
  getItem(index: number, shape: number | number[], dtype: unknown): tf.Tensor;
  read(index: number): tf.Tensor;
}

type Put = (list: IndexedList, index: number, value: tf.Tensor) => void;

const adding = (put: Put) => (op: OpNode) => {
  const [handle, index, value] = op.inputs;
  const list = listOf(op as CallingNode, handle) as IndexedList;
  const additions = traced.findLast((some) => some.has(list))?.get(list);
  if (additions && dependsOnData(index)) additions.push({ value: tf.clone(value), index });
  else put(list, index.dataSync()[0], value);
  return handle;
};

const reading = (get: (list: IndexedList, index: number, op: OpNode) => tf.Tensor) => (op: OpNode) => {
  const [handle, index] = op.inputs;
  const list = listOf(op as CallingNode, handle) as IndexedList;
  if (!filled.has(list) && !dependsOnData(index)) return get(list, index.dataSync()[0], op);
  return tf.squeeze(tf.gather(stacked(list), tf.reshape(tf.cast(index, 'int32'), [1])), [0]);
};

const shapeOf = (shape: tf.Tensor) => (shape.rank === 0 ? shape.dataSync()[0] : Array.from(shape.dataSync()));

/** By TensorFlow's operator. */
export const LIST_EXECUTORS: Record<string, (node: OpNode) => tf.Tensor> = {
  TensorListSetItem: adding((list, index, value) => list.setItem(index, value)),
  TensorArrayWriteV3: adding((list, index, value) => list.write(index, value)),
  TensorListGetItem: reading((list, index, { inputs, attrs }) =>
    list.getItem(index, shapeOf(inputs[2]), attrs.element_dtype),
  ),
  TensorArrayReadV3: reading((list, index) => list.read(index)),
};
