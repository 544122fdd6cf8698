/** A graph model as what can be exported. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import type { OnnxruntimeBackend } from '../../onnx/backend/onnxruntime-backend.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { DEPENDS_ON_DATA } from '../../onnx/backend/recorder.js';
import { isSelection, withSelections } from './dynamic-ops.js';
import { checkNames, type ModelSource, numeric } from './model-source.js';

/** A node as the converter's executor has it. */
interface ExecutedNode {
  name: string;
  op: string;
  category: string;
}

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
  hookNodes(nodes);
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
  try {
    return [model.execute(named, outputNames)].flat();
  } catch (error) {
    if (!/has the dynamic op/.test((error as Error).message)) throw error;
  }
  const follow = async () => [await model.executeAsync(named, outputNames)].flat();
  if (!recorder.tracing) return follow();
  return withSelections(follow).catch((cause: Error) => {
    throw cause.message.includes(DEPENDS_ON_DATA) ? undecided(model, cause) : cause;
  });
}

/** Why a graph with control flow cannot be traced, with all operators that may be the reason. */
function undecided(model: GraphModel, cause: Error): UserError {
  const deciding = nodesOf(model).filter(({ op }) => DECIDING.has(op));
  const lines = [...new Set(deciding.map(({ op }) => op))].map((op) => {
    const names = deciding.flatMap((node) => (node.op === op ? [node.name] : []));
    return `\n  ${names.length} ${op}: ${names.slice(0, 2).join(', ')}${names.length > 2 ? ', …' : ''}`;
  });
  return new UserError(
    `${cause.message.split(':')[0]}: needs the value of a tensor that depends on the input, for a shape or for what to ` +
      'compute next. A file holds no such decision: loops of a fixed number of steps are unrolled, non-maximum ' +
      'suppression and Where may select; cut the model before this with --outputs' +
      (lines.length > 0 ? `. It has\n${lines.join('').slice(1)}` : ''),
    { cause },
  );
}

/**
 * Makes the kernel calls of a graph model carry the name of the node that made them, and hands nodes to code of ours.
 * The converter's executor looks at a node's `category` just before it computes it, and offers no other hook.
 */
function hookNodes(nodes: readonly ExecutedNode[]): void {
  for (const node of nodes) {
    if (Object.getOwnPropertyDescriptor(node, 'category')?.get) continue;
    const { name, op, category } = node;
    Object.defineProperty(node, 'category', {
      configurable: true,
      get: () => {
        recorder.enterScope(name);
        return recorder.tracing && isSelection(op) ? 'custom' : category;
      },
    });
  }
}

interface Executor {
  graph: { nodes: Record<string, ExecutedNode> };
  functionExecutorMap: Record<string, Executor>;
}

/** A graph model's nodes, those of its functions too; the converter shows them nowhere else. */
function nodesOf(model: GraphModel): ExecutedNode[] {
  const of = ({ graph, functionExecutorMap }: Executor): ExecutedNode[] => [
    ...Object.values(graph.nodes),
    ...Object.values(functionExecutorMap ?? {}).flatMap(of),
  ];
  return of((model as unknown as { executor: Executor }).executor);
}
