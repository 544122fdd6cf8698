/**
 * `import 'alexnet/backend'` registers the tfjs backend `onnxruntime`; then `await tf.setBackend('onnxruntime')`.
 */
export { BACKEND_NAME, type KernelCounts, kernelCounts } from './register.js';
