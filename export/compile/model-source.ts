/** What can be exported: layers models, graph models and functions of tensors, all seen as one thing. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import type { OnnxruntimeBackend } from '../../onnx/backend/onnxruntime-backend.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { DType, Operand } from '../../onnx/kernel-call.js';
import { inferencePass, weightNames } from './trace.js';

/** An argument of a program. */
export interface InputSpec {
  name: string;
  /** Lengths; null if free. Only the first axis may stay free. */
  shape: readonly (number | null)[];
  dtype: DType;
}

/** A function of tensors; called several times, with other batch sizes. */
export type TensorFunction = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** A program with what a file says of it. */
export interface ModelSource {
  name: string;
  inputs: readonly InputSpec[];
  /** Absent: `output`, `output1`, … */
  outputNames?: readonly string[];
  /** Images are [N, C, H, W] in the program. */
  channelsFirst: boolean;
  run(inputs: tf.Tensor[]): tf.Tensor[];
  /** Names of the tensors that it keeps; the active backend must be `onnxruntime`. */
  weightNames(): Map<Operand, string>;
}

export function layersModelSource(model: tfl.LayersModel): ModelSource {
  const names = layerNames(model.inputs);
  return {
    name: model.name,
    inputs: model.inputs.map(({ shape, dtype }, i) => ({ name: names[i], shape, dtype: numeric(dtype, names[i]) })),
    outputNames: layerNames(model.outputs),
    channelsFirst: model.layers.some((layer) => layer.getConfig().dataFormat === 'channelsFirst'),
    run: inferencePass(model),
    weightNames: () => weightNames(model),
  };
}

/** Names of the layers that the tensors come from: a sequential model that was loaded keeps no names of its own. */
function layerNames(tensors: readonly tfl.SymbolicTensor[]): string[] {
  const layers = tensors.map(({ sourceLayer }) => sourceLayer.name);
  return layers.map((name, i) => (layers.indexOf(name) === i ? name : `${name}_${i}`));
}

export function graphModelSource(model: GraphModel): ModelSource {
  const outputNames = model.outputs.map(({ name }) => name);
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

export function functionSource(run: TensorFunction, inputs: readonly InputSpec[]): ModelSource {
  return {
    name: run.name || 'function',
    inputs,
    channelsFirst: false,
    run: (tensors) => [run(...tensors)].flat(),
    weightNames: () => new Map(),
  };
}

/** TensorFlow's name of a tensor without the number of the output. */
const plainName = (name: string) => name.replace(/:0$/, '');

function numeric(dtype: tf.DataType, input: string): DType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new UserError(`input ${input}: dtype ${dtype} cannot be exported; expected float32, int32 or bool`);
}

/**
 * Makes the kernel calls of a graph model carry the name of the node that made them. The converter's executor looks at
 * a node's `category` just before it computes it, and offers no other hook.
 */
function labelNodes(model: GraphModel): void {
  const { graph } = (model as unknown as { executor: { graph: { nodes: Record<string, { category: string }> } } })
    .executor;
  for (const [name, node] of Object.entries(graph.nodes)) {
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
