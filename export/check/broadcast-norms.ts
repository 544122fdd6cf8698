/**
 * Batch normalisation over another axis than the last: tfjs's cpu and wasm backends repeat the parameters [1, C, 1, 1]
 * over x's elements as they repeat [C], which no model means. Here they are broadcast, as on webgl and in Keras.
 */
import type { KernelFunc, Tensor } from '@tensorflow/tfjs-core';
import { tf } from '../../base/tfjs/core.js';

const KERNEL = 'FusedBatchNorm';
const replaced = new Set<string>();

/** Replaces the kernel of a backend, once. */
export function broadcastNorms(backendName: string): void {
  const config = tf.getKernel(KERNEL, backendName);
  if (!config || replaced.has(backendName)) return;
  replaced.add(backendName);
  tf.unregisterKernel(KERNEL, backendName);
  const kernelFunc: KernelFunc = (call) => {
    const inputs = call.inputs as unknown as Record<'x' | 'mean' | 'variance', Tensor> & {
      offset?: Tensor;
      scale?: Tensor;
    };
    const { x, mean, variance, offset, scale } = inputs;
    const spread = mean.shape.length > 1 && mean.shape.some((length, axis) => length !== x.shape[axis]);
    if (!spread) return config.kernelFunc(call);
    const epsilon = tf.scalar((call.attrs as { varianceEpsilon?: number }).varianceEpsilon ?? 0.001);
    const normal = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, epsilon)));
    const scaled = scale ? tf.mul(normal, scale) : normal;
    return offset ? tf.add(scaled, offset) : scaled;
  };
  tf.registerKernel({ ...config, kernelFunc });
}
