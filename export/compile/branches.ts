/**
 * Conditions that depend on data, in graph models: both branches are computed, and the condition selects between their
 * results. tfjs follows one branch, which a trace cannot know.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';

/** A node as the converter's executor has it. */
export interface ExecutedNode {
  name: string;
  op: string;
  category: string;
  inputNames: string[];
  inputs: ExecutedNode[];
  children: ExecutedNode[];
}

/** What the converter hands to code of ours. */
export interface OpNode {
  inputs: tf.Tensor[];
  attrs: Record<string, unknown>;
}

/** The op that a `Merge` becomes: unlike that, it waits for all of its inputs. */
const SELECT = 'SelectBranch';

/** Of these `Switch` nodes both branches are computed; with the condition, once it is. */
const split = new Map<ExecutedNode, tf.Tensor | undefined>();

/** Prepares the `Merge` nodes behind `Switch` nodes of one condition; returns what undoes it. */
export function selectBranches(nodes: readonly ExecutedNode[], switchName: string): () => void {
  const first = nodes.find(({ name }) => name === switchName)!;
  const condition = first.inputNames[1];
  const decider = first.inputs[1];
  const switches = new Set(nodes.filter(({ op, inputNames }) => op === 'Switch' && inputNames[1] === condition));
  const merges = nodes.flatMap((node) => {
    const isLoop = node.inputs.some(({ op }) => op === 'NextIteration');
    const ports =
      node.op === 'Merge' && !isLoop ? node.inputNames.map((name, i) => portOf(name, node.inputs[i], switches)) : [];
    const known = ports.findIndex((port) => port !== undefined);
    if (known < 0) return [];
    return [{ node, isTrueFirst: (ports[known] === 1) === (known === 0) }];
  });
  const undo = merges.map(({ node, isTrueFirst }) => {
    const [a, b] = node.inputNames;
    return replace(node, {
      op: SELECT,
      inputNames: [condition, ...(isTrueFirst ? [a, b] : [b, a])],
    });
  });
  undo.push(replace(decider, { children: [...decider.children, ...merges.map(({ node }) => node)] }));
  for (const node of switches) split.set(node, undefined);
  return () => {
    for (const node of switches) split.delete(node);
    for (const one of undo.reverse()) one();
  };
}

/** 1 where the value comes from the branch that a true condition takes, 0 for the other; undefined from neither. */
function portOf(name: string, node: ExecutedNode, switches: ReadonlySet<ExecutedNode>): 0 | 1 | undefined {
  const seen = new Set<ExecutedNode>();
  const open: [string, ExecutedNode][] = [[name, node]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [from, at] = next;
    if (switches.has(at)) return from.endsWith(':1') ? 1 : 0;
    if (seen.has(at)) continue;
    seen.add(at);
    at.inputs.forEach((input, i) => {
      open.push([at.inputNames[i], input]);
    });
  }
  return undefined;
}

/** Other properties for a while; returns what brings the old ones back. */
function replace(node: ExecutedNode, properties: Partial<ExecutedNode>): () => void {
  const before = { ...node };
  const names = Object.keys(properties) as (keyof ExecutedNode)[];
  Object.assign(node, properties);
  return () => Object.assign(node, Object.fromEntries(names.map((name) => [name, before[name]])));
}

function select(condition: tf.Tensor, yes: tf.Tensor, no: tf.Tensor): tf.Tensor {
  if (yes.dtype !== no.dtype || String(yes.shape) !== String(no.shape))
    throw new UserError(
      `${recorder.tracing!.scope}: a condition that depends on data has branches of different shapes, [${yes.shape}] and ` +
        `[${no.shape}]; a file cannot hold both. Cut the model before it with outputs (--outputs)`,
    );
  return tf.where(tf.cast(condition, 'bool'), yes, no);
}

/** The converter keeps handles of lists, and finds a list by the handle itself. */
export const passedOn = (tensor: tf.Tensor) => (tensor.kept ? tensor : tf.clone(tensor));

/** Whether a value is not known while a program is traced. */
export const dependsOnData = ({ dataId }: tf.Tensor): boolean =>
  recorder.dependsOnInput((tf.backend() as OnnxruntimeBackend).recordOf(dataId));

/** One branch or both; throws at once where data decide and only one was asked for. */
function executeSwitch({ inputs: [data, condition], node }: SwitchNode): (tf.Tensor | undefined)[] {
  if (split.has(node)) {
    split.set(node, condition);
    return [passedOn(data), passedOn(data)];
  }
  return condition.dataSync()[0] ? [undefined, passedOn(data)] : [passedOn(data), undefined];
}

interface SwitchNode extends OpNode {
  node: ExecutedNode;
}

/** By the op of a node. */
export const BRANCH_EXECUTORS: Record<string, (node: OpNode) => tf.Tensor[]> = {
  Switch: (op) => executeSwitch(op as SwitchNode) as tf.Tensor[],
  [SELECT]: ({ inputs: [condition, yes, no] }) => [select(condition, yes, no), tf.cast(condition, 'int32')],
};

/** A function of the graph, as the converter runs it. */
interface CalledFunction {
  graph: { inputs: ExecutedNode[]; outputs: ExecutedNode[] };
  executeFunctionAsync(inputs: tf.Tensor[], arrays: object, lists: object): Promise<tf.Tensor[]>;
}

/** A node that calls functions of the graph, which its attributes name. */
export interface CallingNode extends OpNode {
  node: ExecutedNode & { rawAttrs: Record<string, { func: { name: string } }> };
  context: {
    functionMap: Record<string, CalledFunction>;
    tensorArrayMap: Record<number, unknown>;
    tensorListMap: Record<number, unknown>;
  };
}

export const functionOf = ({ node, context }: CallingNode, attribute: string): CalledFunction =>
  context.functionMap[node.rawAttrs[attribute].func.name];

export function callFunction(op: CallingNode, attribute: string, args: readonly tf.Tensor[]): Promise<tf.Tensor[]> {
  const { tensorArrayMap, tensorListMap } = op.context;
  return functionOf(op, attribute).executeFunctionAsync(args.map(passedOn), tensorArrayMap, tensorListMap);
}

/** True if the function that is being followed is of a branch that is taken. */
const taken = new AsyncLocalStorage<tf.Tensor>();

/** The condition, false for a node of a branch that is not taken: of both branches' results one is thrown away. */
export function ifTaken(condition: tf.Tensor, { node }: CallingNode): tf.Tensor {
  const outer = taken.getStore();
  const around = [...(outer ? [outer] : []), ...branchesAround(node)];
  return around.reduce((a, b) => tf.logicalAnd(a, b), tf.cast(condition, 'bool'));
}

/** Whether the branches of split `Switch` nodes that lead to a node are taken; not of those that met before it. */
function branchesAround(node: ExecutedNode): tf.Tensor[] {
  const before = new Set([node]);
  const met = new Set<string>();
  const found = new Map<string, tf.Tensor>();
  for (const at of before) {
    if (at.op === SELECT) met.add(at.inputNames[0]);
    for (const [i, input] of at.inputs.entries()) {
      before.add(input);
      const condition = split.get(input);
      const truth = condition && tf.cast(condition, 'bool');
      if (truth) found.set(input.inputNames[1], at.inputNames[i].endsWith(':1') ? truth : tf.logicalNot(truth));
    }
  }
  return [...found].flatMap(([name, truth]) => (met.has(name) ? [] : [truth]));
}

/** `If` and `StatelessIf`: one function, or both and a choice. */
export async function executeIf(op: OpNode): Promise<tf.Tensor[]> {
  const [condition, ...args] = op.inputs;
  const branch = op as CallingNode;
  const call = (name: 'then_branch' | 'else_branch') => callFunction(branch, name, args);
  if (!dependsOnData(condition)) return call(condition.dataSync()[0] ? 'then_branch' : 'else_branch');
  const truth = tf.cast(condition, 'bool');
  const yes = await taken.run(ifTaken(truth, branch), () => call('then_branch'));
  const no = await taken.run(ifTaken(tf.logicalNot(truth), branch), () => call('else_branch'));
  return yes.map((value, i) => select(condition, value, no[i]));
}
