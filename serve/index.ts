/**
 * The server as a library. `openClassifier({ file })` classifies without HTTP, `classifierRouter({ file })` is to be
 * mounted in an Express application, `createServer(options).start()` listens by itself. All of them infer in forked
 * processes.
 */

export { PROVIDER_CHOICES as PROVIDERS, type Provider, type ProviderChoice } from '../onnx/backend/provider.js';
export { type ClassifierRouter, classifierRouter, type RouterOptions } from './classifier-router.js';
export { ERRORS, type ErrorCode, RequestError } from './errors.js';
export { formatPredictions } from './format-predictions.js';
export { type AppOptions, createApp } from './http/app.js';
export type { AppDeps } from './http/own/answer-image.js';
export {
  type Classification,
  type ClassifyOptions,
  type OpenClassifierOptions,
  type OpenedClassifier,
  openClassifier,
} from './open-classifier.js';
export { type Prediction, type ServedModel, topPredictions } from './served-model.js';
export { createServer, type ImageServer, type ServerOptions, type Started } from './server.js';
