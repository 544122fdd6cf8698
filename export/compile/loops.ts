/**
 * Loops of graph models. They are unrolled while it is known whether there is another round; where data decide it, one
 * round is traced for any values that it may start with, and becomes the body of ONNX's `Loop`.
 */
import { UserError } from '../../base/errors.js';
import type { tf } from '../../base/tfjs/core.js';
import {
  type CallingNode,
  callFunction,
  dependsOnData,
  functionOf,
  ifTaken,
  type OpNode,
  passedOn,
} from './branches.js';
import { entriesOf, fill, type List, listOf } from './loop-lists.js';
import { Rounds } from './loop-rounds.js';

/** `While` and `StatelessWhile`. */
export async function executeWhile(op: OpNode): Promise<tf.Tensor[]> {
  const loop = op as CallingNode;
  const lists = new Set(op.inputs.flatMap((input) => listOf(loop, input) ?? []));
  const before = new Map([...lists].map((list) => [list, entriesOf(list)]));
  let values = op.inputs;
  for (;;) {
    const [again] = await callFunction(loop, 'cond', values);
    if (dependsOnData(again)) break;
    if (!again.dataSync()[0]) return values.map(passedOn);
    values = await callFunction(loop, 'body', values);
  }
  for (const [list, entries] of before) list.tensors = entries;
  return traceLoop(loop, [...lists]);
}

async function traceLoop(op: CallingNode, lists: readonly List[]): Promise<tf.Tensor[]> {
  const { inputs } = op;
  const isTensor = (i: number) => !listOf(op, inputs[i]) && !isPassedOn(op, i);
  const places = [...inputs.keys()].filter(isTensor);
  const filledIn = (values: readonly tf.Tensor[]) =>
    inputs.map((input, i) => (places.includes(i) ? values[places.indexOf(i)] : input));
  const [isFirst] = await callFunction(op, 'cond', inputs);
  const rounds = new Rounds(op.node.name, ifTaken(isFirst, op), lists, async (starts) => {
    const ends = await callFunction(op, 'body', filledIn(starts));
    checkHandles(op, ends);
    const [again] = await callFunction(op, 'cond', ends);
    return { ends: places.map((i) => ends[i]), again };
  });
  const { ends, scans } = await rounds.trace(places.map((i) => inputs[i]));
  for (const [list, all] of scans) fill(list, all, op.node.name);
  return filledIn(ends).map(passedOn);
}

/** True for an argument that the body gives back as it is, or that only tells when a TensorArray was written. */
function isPassedOn(op: CallingNode, at: number): boolean {
  const { inputs, outputs } = functionOf(op, 'body').graph;
  let node = outputs[at];
  while (node.op === 'Identity') [node] = node.inputs;
  return node === inputs[at] || node.op === 'TensorArrayWriteV3';
}

/** @throws {UserError} if the body gives another list than it got */
function checkHandles(op: CallingNode, ends: readonly tf.Tensor[]): void {
  const at = op.inputs.findIndex((input, i) => listOf(op, input) && listOf(op, input) !== listOf(op, ends[i]));
  if (at < 0) return;
  throw new UserError(
    `${op.node.name}: a loop whose number of rounds depends on data turns the list of tensors that is its value ${at} ` +
      'into another one, which a file cannot hold; cut the model before it with outputs (--outputs)',
  );
}
