/**
 * The package itself: the calls that most programs need. The rest is in `alexnet/model`, `alexnet/backend`,
 * `alexnet/export` and `alexnet/serve`.
 *
 * Its declarations leave out those of tfjs-layers, which have type errors under `strict`.
 */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import type { tf } from './base/tfjs/core.js';
import type { TensorFunction } from './export/compile/model-source.js';
import type { OnnxOptions } from './export/compile/onnx-options.js';
import { exportOnnx as exportModel } from './export/index.js';
import type { BuildOptions } from './model/geometry.js';
import { buildNetwork as build } from './model/index.js';
import { findNetwork } from './model/registry.js';
import type { NetworkSpec } from './model/spec.js';
import type { OnnxModel } from './onnx/file/onnx-model.js';
import { type OpenClassifierOptions, type OpenedClassifier, openClassifier } from './serve/index.js';

export type { TensorFunction } from './export/compile/model-source.js';
export type { OnnxOptions } from './export/compile/onnx-options.js';
export type { BuildOptions } from './model/geometry.js';
export { findNetwork } from './model/registry.js';
export type { NetworkSpec } from './model/spec.js';
export type { ClassifierDescription } from './onnx/file/classifier-description.js';
export { OnnxModel, saveModel } from './onnx/file/onnx-model.js';
export {
  type Classification,
  type ClassifyOptions,
  classifierRouter,
  createServer,
  type ImageServer,
  type OpenedClassifier,
  type Prediction,
  RequestError,
  type RouterOptions,
  type ServerOptions,
} from './serve/index.js';

/** A layers model of TensorFlow.js, as far as it is needed here; `alexnet/model` has it whole. */
export interface LayersModel {
  readonly name: string;
  predict(images: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[];
  countParams(): number;
  summary(): void;
}

/**
 * A network with new weights, see `buildNetwork` of `alexnet/model`.
 * @param network  its name, with edits if any, such as `cifar10-18pct.tanh`, or a table
 * @param options  default: as many classes as it was published with, and seed 0
 * @throws {UserError} when there is no such network, or an option is out of range
 */
export function buildNetwork(network: string | NetworkSpec, options: Partial<BuildOptions> = {}): LayersModel {
  const spec = typeof network === 'string' ? findNetwork(network) : network;
  return build(spec, { classes: spec.classes, seed: 0, ...options });
}

/**
 * Exports what a model computes and compares it with TensorFlow.js, see `exportOnnx` of `alexnet/export`.
 * @param model  a layers model, a graph model, or a function of tensors together with `options.inputs`
 * @throws {UserError} naming all that cannot be exported
 */
export function exportOnnx(
  model: LayersModel | GraphModel | TensorFunction,
  options?: OnnxOptions,
): Promise<OnnxModel> {
  return exportModel(model as Parameters<typeof exportModel>[0], options);
}

/**
 * Opens a model file, see `openClassifier` of `alexnet/serve`.
 * @param file  path of a `.onnx` file: of "alexnet export", or with a config.json next to it
 * @throws {UserError} when the file is not a classifier, or the provider does not run
 */
export function loadClassifier(
  file: string,
  options: Omit<OpenClassifierOptions, 'file'> = {},
): Promise<OpenedClassifier> {
  return openClassifier({ ...options, file });
}
