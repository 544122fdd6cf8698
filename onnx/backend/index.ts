/**
 * `import 'alexnet/backend'` registers the tfjs backend `onnxruntime`; then `await tf.setBackend('onnxruntime')`.
 */

export { activeProvider as checkProvider, type ChosenProvider, chooseProvider } from './choose-provider.js';
export { keepMemory } from './keep-memory.js';
export type { ProviderChoice } from './provider.js';
export { BACKEND_NAME, type KernelCounts, kernelCounts } from './register.js';
