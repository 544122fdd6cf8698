/**
 * `import 'alexnet/backend'` registers the tfjs backend `onnxruntime`; then `await tf.setBackend('onnxruntime')`.
 */

export { checkProvider } from './check-provider.js';
export { keepMemory } from './keep-memory.js';
export { BACKEND_NAME, type KernelCounts, kernelCounts } from './register.js';
