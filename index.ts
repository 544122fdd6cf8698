/**
 * The package itself: the calls that most programs need. The rest is in `alexnet/model`, `alexnet/backend`,
 * `alexnet/export` and `alexnet/serve`.
 */
import { type OpenClassifierOptions, type OpenedClassifier, openClassifier } from './serve/index.js';

export { type ClassifierDescription, exportOnnx, type OnnxOptions, saveModel } from './export/index.js';
export { type BuildOptions, buildNetwork, findNetwork } from './model/index.js';
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
