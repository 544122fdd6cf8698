/**
 * onnxruntime-node's synchronous calls. Its public API only wraps these in `setImmediate`; tfjs's `readSync` cannot
 * wait. They are internal, so package.json pins the exact version and no other file touches them.
 */
import { createRequire } from 'node:module';
import type { ElementType } from '../graph.js';
import type { TensorData } from '../layout.js';
import { Tensor } from '../onnxruntime.js';
import { profilePrefix, profiling } from '../profiling.js';
import { withDevice } from './device-lost.js';
import { keepsMemory } from './keep-memory.js';
import type { Provider } from './provider.js';

/** Inputs by name, in the host's memory or on the device. */
export type Feeds = Record<string, Tensor>;
/** Tensors to write outputs into, by name; null for one that onnxruntime allocates. */
export type Fetches = Record<string, Tensor | null>;

interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
  run(feeds: Feeds, fetches: Fetches, options: object): Record<string, Tensor>;
  endProfiling(): void;
  dispose(): void;
}

interface Binding {
  binding: { InferenceSession: new () => NativeSession };
  initOrt(): void;
}

const require = createRequire(import.meta.url);

/** A tensor over memory that onnxruntime reads or writes in place. */
export function nativeTensor(dtype: ElementType, data: TensorData, dims: readonly number[]): Tensor {
  return new Tensor(dtype as 'float32', data as Float32Array, dims);
}

/** Bytes of inputs and outputs copied between the host and a provider other than cpu, by all graphs of this process. */
export const traffic = { bytesToDevice: 0, bytesToHost: 0 };

function hostBytes(tensors: readonly (Tensor | null)[]): number {
  const here = tensors.filter((tensor) => tensor?.location === 'cpu');
  return here.reduce((sum, tensor) => sum + (tensor!.data as TensorData).byteLength, 0);
}

export interface GraphOptions {
  /** What computes; what it has no kernel for, the CPU computes. */
  provider: Provider;
  /**
   * That share the work (default: the calling one alone); others spin for a while after each run, on cores that
   * somebody may want.
   */
  threads?: number;
  /**
   * Keep memory between runs (default): faster where it is little. A large step would hold its first run's pieces and
   * the second's planned block for ever: 9.4 GB against 4.7 GB for AlexNet at batch 128, at no measurable gain.
   */
  keepArena?: boolean;
  /** Names of outputs that stay in the device's memory (default: none); each is to be disposed. */
  deviceOutputs?: readonly string[];
}

/**
 * Folded constants stay in memory for good: the zeros that pooling's gradients are added to, 270 MB for AlexNet at batch
 * 128. A GPU provider may have no kernel for what makes them.
 */
const UNFOLDED = { extra: { optimization: { disable_specified_optimizers: 'ConstantFolding' } } };

/** A compiled graph. Runs block the calling thread. */
export class NativeGraph {
  private readonly session: NativeSession;
  private readonly copies: boolean;
  private readonly endProfile = () => this.session.endProfiling();

  /** @param model  bytes of an ONNX file */
  constructor(model: Uint8Array, { provider, threads = 1, keepArena = true, deviceOutputs = [] }: GraphOptions) {
    const { binding, initOrt } = require('onnxruntime-node/dist/binding.js') as Binding;
    initOrt();
    this.copies = provider !== 'cpu';
    this.session = new binding.InferenceSession();
    this.session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
      executionProviders: [...new Set([provider, 'cpu'])],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
      enableCpuMemArena: keepArena,
      // One block for a whole step leaves a hole for no other, and small blocks would split it for good.
      enableMemPattern: keepArena || !keepsMemory(),
      logSeverityLevel: 3,
      ...(provider === 'cpu' && UNFOLDED),
      ...(deviceOutputs.length > 0 && {
        preferredOutputLocation: Object.fromEntries(deviceOutputs.map((name) => [name, 'gpu-buffer'])),
      }),
      ...profiling,
    });
    if (profilePrefix) process.once('exit', this.endProfile);
  }

  /**
   * Runs into the tensors of `fetches` (with outputs on the device: into new ones).
   * @returns the outputs
   * @throws {DeviceLostError}
   */
  run(feeds: Feeds, fetches: Fetches): Record<string, Tensor> {
    let outputs: Record<string, Tensor>;
    try {
      outputs = this.session.run(feeds, fetches, {});
    } catch (error) {
      throw withDevice(error);
    }
    if (this.copies) {
      traffic.bytesToDevice += hostBytes(Object.values(feeds));
      traffic.bytesToHost += hostBytes(Object.values(outputs));
    }
    return outputs;
  }

  release(): void {
    if (profilePrefix) {
      process.off('exit', this.endProfile);
      this.endProfile();
    }
    this.session.dispose();
  }
}
