/** A graph model as what can be exported. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { tf } from '../../base/tfjs/core.js';
import type { OnnxruntimeBackend } from '../../onnx/backend/onnxruntime-backend.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { checkNames, type ModelSource, numeric } from './model-source.js';

/** @param outputs  names of nodes whose results to give in place of the model's */
export function graphModelSource(model: GraphModel, outputs?: readonly string[]): ModelSource {
  const outputNames = [...(outputs ?? model.outputs.map(({ name }) => name))];
  checkNames(
    outputNames.map((name) => name.replace(/:\d+$/, '')),
    Object.keys(nodesOf(model)),
    'node',
  );
  return {
    name: 'graph_model',
    inputs: model.inputs.map(({ name, shape, dtype }) => ({
      name: plainName(name),
      shape: (shape ?? []).map((length) => (length === null || length < 0 ? null : length)),
      dtype: numeric(dtype, name),
    })),
    outputNames: outputNames.map(plainName),
    channelsFirst: false,
    run: (inputs) => {
      const named = Object.fromEntries(model.inputs.map(({ name }, i) => [name, inputs[i]]));
      labelNodes(model);
      return [model.execute(named, outputNames)].flat();
    },
    weightNames: () => {
      const backend = tf.backend() as OnnxruntimeBackend;
      const tensors = Object.entries(model.weights).flatMap(([name, list]) => list.map((tensor) => ({ name, tensor })));
      return new Map(tensors.map(({ name, tensor }) => [backend.recordOf(tensor.dataId), name]));
    },
  };
}

/** TensorFlow's name of a tensor without the number of the output. */
const plainName = (name: string) => name.replace(/:0$/, '');

/**
 * Makes the kernel calls of a graph model carry the name of the node that made them. The converter's executor looks at
 * a node's `category` just before it computes it, and offers no other hook.
 */
function labelNodes(model: GraphModel): void {
  for (const [name, node] of Object.entries(nodesOf(model))) {
    const { category } = node;
    Object.defineProperty(node, 'category', {
      configurable: true,
      get: () => {
        recorder.enterScope(name);
        return category;
      },
    });
  }
}

/** A graph model's nodes by name; the converter shows them nowhere else. */
function nodesOf(model: GraphModel): Record<string, { category: string }> {
  return (model as unknown as { executor: { graph: { nodes: Record<string, { category: string }> } } }).executor.graph
    .nodes;
}
