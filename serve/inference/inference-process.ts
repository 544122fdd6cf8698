/**
 * The forked process that decodes and infers. `session.run` blocks its thread for the whole inference, and a fault in
 * native code ends the process it happens in: here it costs one request and not the server.
 */
import { runInferenceLoop } from './inference-loop.js';
import type { InferenceOptions } from './messages.js';

const options = JSON.parse(process.argv[2]) as InferenceOptions;
await runInferenceLoop(async (log) => {
  // onnxruntime and sharp, after the loop has taken the signals
  const { openClassifier } = await import('./classifier.js');
  return openClassifier({ ...options, log });
}, options.batchDelayMs);
