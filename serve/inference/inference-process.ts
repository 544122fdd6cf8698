/**
 * The forked process that decodes and infers. `session.run` blocks its thread for the whole inference, and a fault in
 * native code ends the process it happens in: here it costs one request and not the server.
 */
import { getPriority, setPriority } from 'node:os';
import { runInferenceLoop } from './inference-loop.js';
import type { InferenceOptions } from './messages.js';

/**
 * Nice value. Inference takes all cores: a refusal or a health check that waits for one comes first. With it they take
 * about half as long at the 99th percentile under 64 clients, and images a second stay as they are.
 */
const BEHIND_THE_SERVER = 5;

// Before onnxruntime starts its threads, which inherit it. Who started the server with less keeps it.
if (getPriority() < BEHIND_THE_SERVER) setPriority(BEHIND_THE_SERVER);

const options = JSON.parse(process.argv[2]) as InferenceOptions;
await runInferenceLoop(async (log) => {
  // onnxruntime and sharp, after the loop has taken the signals
  const { openClassifier } = await import('./classifier.js');
  return openClassifier({ ...options, log });
}, options.batchDelayMs);
