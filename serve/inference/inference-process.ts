/**
 * The forked process that decodes and infers. `session.run` blocks its thread for the whole inference, and a fault in
 * native code ends the process it happens in: here it costs one request and not the server.
 */
import '../../base/few-open-files.js'; // before the rest
import { getPriority, setPriority } from 'node:os';
import { beginWithOptions } from '../forked-process.js';
import type { InferenceOptions } from './messages.js';

/**
 * Nice value. Inference takes all cores: a refusal or a health check that waits for one comes first. With it they take
 * about half as long at the 99th percentile under 64 clients, and images a second stay as they are.
 */
const BEHIND_THE_SERVER = 5;

// Before onnxruntime starts its threads, which inherit it. Who started the server with less keeps it.
if (getPriority() < BEHIND_THE_SERVER) setPriority(BEHIND_THE_SERVER);

// onnxruntime and sharp, while the server finds out what it wants.
const packages = import('./classifier.js');
packages.catch(() => undefined); // the loop tells it
const { runInferenceLoop } = await import('./inference-loop.js');
beginWithOptions<InferenceOptions>((options) => {
  void runInferenceLoop(async (log) => (await packages).openClassifier({ ...options, log }), options.batchDelayMs);
});
