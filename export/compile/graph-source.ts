/** A graph model as what can be exported. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { UserError } from '../../base/errors.js';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import type { OnnxruntimeBackend } from '../../onnx/backend/onnxruntime-backend.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { DEPENDS_ON_DATA } from '../../onnx/backend/recorder.js';
import { type CallingNode, type ExecutedNode, selectBranches } from './branches.js';
import { isSelection, withSelections } from './dynamic-ops.js';
import { beginLoop, countingRounds, countRound } from './endless-loops.js';
import { framesAsFunctions, type GraphDef } from './frames.js';
import { checkNames, type ModelSource, numeric } from './model-source.js';
import { allSettled } from './settled.js';

/** Operators that decide what is computed. */
const DECIDING = new Set(
  'Switch Merge Enter Exit NextIteration LoopCond StatelessIf If StatelessWhile While'.split(' '),
);

/** @param outputs  names of nodes whose results to give in place of the model's */
export function graphModelSource(model: GraphModel, outputs?: readonly string[]): ModelSource {
  const outputNames = [...(outputs ?? model.outputs.map(({ name }) => name))];
  const nodes = nodesOf(model);
  const known = nodes.map(({ name }) => name);
  checkNames(
    outputNames.map((name) => name.replace(/:\d+$/, '')),
    known,
    'node',
  );
  hookNodes(model);
  return {
    name: 'graph_model',
    inputs: model.inputs.map(({ name, shape, dtype }) => ({
      name: plainName(name),
      shape: (shape ?? []).map((length) => (length === null || length < 0 ? null : length)),
      dtype: numeric(dtype, name),
    })),
    outputNames: outputNames.map(plainName),
    channelsFirst: false,
    run: (inputs) =>
      execute(model, Object.fromEntries(model.inputs.map(({ name }, i) => [name, inputs[i]])), outputNames),
    weightNames: () => {
      const backend = tf.backend() as OnnxruntimeBackend;
      const tensors = Object.entries(model.weights).flatMap(([name, list]) => list.map((tensor) => ({ name, tensor })));
      return new Map(tensors.map(({ name, tensor }) => [backend.recordOf(tensor.dataId), name]));
    },
  };
}

/** TensorFlow's name of a tensor without the number of the output. */
const plainName = (name: string) => name.replace(/:0$/, '');

/** The outputs; later, for a graph that control flow or the data decide. */
function execute(
  model: GraphModel,
  named: Record<string, tf.Tensor>,
  outputNames: string[],
): tf.Tensor[] | Promise<tf.Tensor[]> {
  const direct = () => [model.execute(named, outputNames)].flat();
  try {
    return direct();
  } catch (error) {
    const { message } = error as Error;
    if (recorder.tracing && message.includes(DEPENDS_ON_DATA)) return withSelections(async () => direct());
    if (!/has the dynamic op/.test(message)) throw error;
  }
  const follow = (one: GraphModel) => countingRounds(async () => [await one.executeAsync(named, outputNames)].flat());
  return recorder.tracing ? withSelections(() => branching(model, follow)) : follow(model);
}

/**
 * Follows the graph again and again, each time with both branches of one more condition that depends on data. A frame
 * whose rounds the data decide is followed as functions.
 */
async function branching(model: GraphModel, follow: (model: GraphModel) => Promise<tf.Tensor[]>): Promise<tf.Tensor[]> {
  let followed = model;
  const undo: (() => void)[] = [];
  const met = new Set<string>();
  try {
    for (;;) {
      const nodes = nodesOf(followed);
      const outputs = await follow(followed).catch(async (cause: Error) => {
        await allSettled();
        const name = cause.message.split(':')[0];
        const node = nodes.find((one) => one.name === name);
        if (!cause.message.includes(DEPENDS_ON_DATA)) throw cause;
        const isSwitch = node?.op === 'Switch' && !met.has(name);
        if (isSwitch && node.inputs[1]?.op !== 'LoopCond') {
          met.add(name);
          undo.push(selectBranches(nodes, name));
        } else if (isSwitch && followed === model) {
          followed = withFunctions(model);
          met.clear();
        } else throw undecided(nodes, node, cause);
      });
      if (outputs) return outputs;
    }
  } finally {
    for (const one of undo.reverse()) one();
  }
}

/** Why a graph with control flow cannot be traced, with all operators that may be the reason. */
function undecided(nodes: readonly ExecutedNode[], node: ExecutedNode | undefined, cause: Error): UserError {
  const isDeciding = node && DECIDING.has(node.op);
  const deciding = isDeciding ? nodes.filter(({ op }) => DECIDING.has(op)) : [];
  const lines = [...new Set(deciding.map(({ op }) => op))].map((op) => {
    const names = deciding.flatMap((one) => (one.op === op ? [one.name] : []));
    return `\n  ${names.length} ${op}: ${names.slice(0, 2).join(', ')}${names.length > 2 ? ', …' : ''}`;
  });
  return new UserError(
    `${cause.message.split(':')[0]}${node ? ` (${node.op})` : ''}: needs the value of a tensor that depends on the input, for ` +
      `${isDeciding ? 'how often to go on' : 'a shape or an index'}, which the file cannot hold; cut the model before it with outputs (--outputs)` +
      (isDeciding ? `. The model's control flow:${lines.join('')}` : ''),
    { cause },
  );
}

/**
 * Makes the kernel calls of a graph model carry the name of the node that made them, and hands nodes to code of ours.
 * The converter's executor looks at a node's `category` just before it computes it, and offers no other hook.
 */
function hookNodes(model: GraphModel): void {
  const loops = loopsOf(model);
  const loopAround = new Map(loops.flatMap(({ loop, inside }) => inside.map((node) => [node, loop])));
  const begunBy = new Map(loops.flatMap(({ starts, inside }) => starts.map((node) => [node, inside])));
  for (const node of nodesOf(model)) {
    if (Object.getOwnPropertyDescriptor(node, 'category')?.get) continue;
    const { name, category } = node;
    const [loop, inside] = [loopAround.get(node), begunBy.get(node)];
    Object.defineProperty(node, 'category', {
      configurable: true,
      get: () => {
        recorder.enterScope(name);
        if (loop !== undefined) countRound(loop, node);
        if (inside) beginLoop(inside);
        return recorder.tracing && isSelection(node.op) ? 'custom' : category;
      },
    });
  }
}

interface Executor {
  graph: { nodes: Record<string, ExecutedNode> };
  functionExecutorMap: Record<string, Executor>;
  weightMap: object;
}

interface Loaded {
  artifacts: tf.io.ModelArtifacts;
  executor: Executor;
}

/** The same model, and its weights, with functions in place of frames. */
function withFunctions(model: GraphModel): GraphModel {
  const { artifacts, executor } = model as unknown as Loaded;
  const modelTopology = framesAsFunctions(artifacts.modelTopology as GraphDef);
  const weights = { modelInitializer: undefined, weightSpecs: [], weightData: new ArrayBuffer(0) };
  const rewritten = tfc.loadGraphModelSync({ load: () => ({ ...artifacts, modelTopology, ...weights }) as never });
  (rewritten as unknown as Loaded).executor.weightMap = executor.weightMap;
  hookNodes(rewritten as GraphModel);
  return rewritten as GraphModel;
}

interface LoopNodes {
  loop: string;
  /** By whose computation it begins. */
  starts: ExecutedNode[];
  /** What its rounds compute, at least one node in every round. */
  inside: ExecutedNode[];
}

function loopsOf(model: GraphModel): LoopNodes[] {
  const { functionExecutorMap } = (model as unknown as Loaded).executor;
  return nodesOf(model).flatMap((node): LoopNodes[] => {
    if (node.op === 'LoopCond') return [{ loop: node.name, starts: entriesInto(node), inside: [node] }];
    if (node.op !== 'While' && node.op !== 'StatelessWhile') return [];
    const { body, cond } = (node as CallingNode['node']).rawAttrs;
    const graphs = [body, cond].map(({ func }) => functionExecutorMap[func.name].graph);
    return [{ loop: node.name, starts: [node], inside: graphs.flatMap(({ nodes }) => Object.values(nodes)) }];
  });
}

/** The `Enter` nodes by which values come into the frame of a node. */
function entriesInto(node: ExecutedNode): ExecutedNode[] {
  const seen = new Set([node]);
  for (const { op, inputs } of seen) {
    if (op !== 'Enter' && op !== 'NextIteration') for (const input of inputs) seen.add(input);
  }
  return [...seen].filter(({ op }) => op === 'Enter');
}

/** A graph model's nodes, those of its functions too; the converter shows them nowhere else. */
function nodesOf(model: GraphModel): ExecutedNode[] {
  const { executor } = model as unknown as { executor: Executor };
  const graphs = [executor, ...Object.values(executor.functionExecutorMap ?? {})].map(({ graph }) => graph);
  return graphs.flatMap(({ nodes }) => Object.values(nodes));
}
