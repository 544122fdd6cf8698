/**
 * Lists of tensors (TensorList, TensorArray) in loops whose rounds the data decide. An empty list to which every round
 * adds one value is a scan output of ONNX's `Loop`: after the loop it holds one tensor of all of them. Values are read
 * by the number of a round with `Gather`.
 */
import { UserError } from '../../base/errors.js';
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

/**
 * What `round` adds to these lists, which stay as they are.
 * @throws {UserError} if it does something else to them, or looks at a list to which it adds: a trace knows only what
 *   that held before the loop
 */
export async function additionsOf<T>(
  lists: readonly List[],
  loop: string,
  round: () => Promise<T>,
): Promise<{ result: T; additions: Additions }> {
  const additions: Additions = new Map(lists.map((list) => [list, []]));
  const read = new Set<List>();
  const before = lists.map((list) => ({ push: list.pushBack, tensors: list.tensors, entries: entriesOf(list) }));
  for (const [i, list] of lists.entries()) {
    if (list.pushBack) list.pushBack = (value) => void additions.get(list)!.push({ value: tf.clone(value) });
    const get = (entries: List['tensors'], key: string | symbol) => read.add(list) && Reflect.get(entries, key);
    list.tensors = new Proxy(entriesOf({ tensors: before[i].entries }), { get });
  }
  traced.push(additions);
  try {
    const result = await round();
    const isOther = (list: List, i: number) =>
      (read.has(list) && additions.get(list)!.length > 0) || !hasSame(list.tensors, before[i].entries);
    if (lists.some(isOther)) throw changesList(loop);
    return { result, additions };
  } finally {
    traced.splice(traced.indexOf(additions), 1); // another may have begun meanwhile
    for (const [i, list] of lists.entries()) {
      list.tensors = before[i].tensors;
      if (before[i].push) list.pushBack = before[i].push;
    }
  }
}

const tensorOf = (entry: List['tensors'][number]) => (entry instanceof tf.Tensor ? entry : entry.tensor);

const hasSame = (entries: List['tensors'], before: List['tensors']) =>
  entries.length === before.length && entries.every((entry, i) => tensorOf(entry) === tensorOf(before[i]));

/** What a file cannot hold of a list. */
export const changesList = (loop: string) =>
  new UserError(
    `${loop}: a loop whose number of rounds depends on data does more to a list of tensors (TensorList, TensorArray) ` +
      'than add one value at its end in every round, which is all that a file can hold; cut the model before it with ' +
      'outputs (--outputs)',
  );

/** True if a round around this one may add to the list: what an inner loop adds cannot be one value. */
export const isAddedTo = (list: List): boolean => traced.some((additions) => additions.has(list));

/** What loops filled lists with. */
const filled = new WeakMap<List, tf.Tensor>();

/** What changes a TensorList or a TensorArray. */
const CHANGING = ['pushBack', 'popBack', 'resize', 'setItem', 'write', 'writeMany', 'scatter', 'split'];

/** Makes the list hold the entries of `all`, to which none can be added. */
export function fill(list: List, all: tf.Tensor, loop: string): void {
  const count = all.shape[0];
  filled.set(list, all);
  const refuse = () => {
    throw new UserError(
      `${loop}: its list of tensors (TensorList, TensorArray) is changed after the loop, whose number of rounds depends ` +
        'on data; a file cannot hold that. Cut the model before it with outputs (--outputs)',
    );
  };
  for (const method of CHANGING) if (method in list) Object.assign(list, { [method]: refuse });
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
export const entriesOf = ({ tensors }: Pick<List, 'tensors'>): List['tensors'] =>
  tensors.map((entry) => (entry instanceof tf.Tensor ? entry : { ...entry }));

/** The list's values as one tensor. */
const stacked = (list: List) => filled.get(list) ?? tf.stack(list.tensors.map(tensorOf));

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
