/**
 * The server as a library. `createServer(options).start()` listens and forks the inference process; `createApp(deps)`
 * is the bare Express application; `openClassifier(options)` classifies in this process, without a server.
 */

export { PROVIDER_CHOICES as PROVIDERS, type Provider, type ProviderChoice } from '../onnx/backend/provider.js';
export { ERRORS, type ErrorCode, RequestError } from './errors.js';
export { formatPredictions } from './format-predictions.js';
export { createApp } from './http/app.js';
export type { AppDeps } from './http/own/answer-image.js';
export { type Prediction, type ServedModel, topPredictions } from './served-model.js';
export { createServer, type ImageServer, type ServerOptions, type Started } from './server.js';

/** Loads onnxruntime and sharp only when called, so that a server's process stays free of them. */
export async function openClassifier(
  options: import('./inference/classifier.js').ClassifierOptions,
): Promise<import('./inference/classifier.js').Classifier> {
  return (await import('./inference/classifier.js')).openClassifier(options);
}
