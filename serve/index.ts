/**
 * The server as a library. `createServer(options).start()` listens and forks the inference process; `createApp(deps)` is the bare Express
 * application; `openClassifier(options)` classifies in this process, without a server.
 */
export type { AppDeps } from './answer-picture.js';
export { createApp } from './app.js';
export { ERRORS, type ErrorCode, RequestError } from './errors.js';
export { formatPredictions } from './format-predictions.js';
export { PROVIDERS, type Provider, type ProviderChoice } from './provider.js';
export { type Prediction, type ServedModel, topPredictions } from './served-model.js';
export { createServer, type ImageServer, type ServerOptions, type Started } from './server.js';

/** Loads onnxruntime and sharp only when called, so that a server's process stays free of them. */
export async function openClassifier(
  options: import('./classifier.js').ClassifierOptions,
): Promise<import('./classifier.js').Classifier> {
  return (await import('./classifier.js')).openClassifier(options);
}
