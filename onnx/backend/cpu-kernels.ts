/**
 * tfjs's cpu kernels, with results in arrays of their type. A `Cast` that loses nothing hands on its input's array: other
 * kernels would copy it, and lose the fractions that they write into the copy.
 */
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { cpu } from '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import { isNumeric } from './record.js';

function inOwnArray(info: TensorInfo, backend: cpu.MathBackendCPU): TensorInfo {
  const data = backend.data.get(info.dataId);
  if (data.dtype === info.dtype || !isNumeric(info.dtype)) return info;
  const own = backend.makeTensorInfo(info.shape, info.dtype, data.values);
  backend.disposeIntermediateTensorInfo(info);
  return own;
}

/** The cpu kernel of this name, for backends that write values into arrays of their type; undefined if there is none. */
export function cpuKernel(name: string): KernelFunc | undefined {
  const kernelFunc = tf.getKernel(name, 'cpu')?.kernelFunc;
  if (!kernelFunc) return undefined;
  return (call) => {
    const backend = call.backend as cpu.MathBackendCPU;
    const results = kernelFunc(call);
    return Array.isArray(results) ? results.map((info) => inOwnArray(info, backend)) : inOwnArray(results, backend);
  };
}
