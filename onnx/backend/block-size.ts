/**
 * How many channels lie together in onnxruntime's blocked layout on this processor: 8 with AVX2, 16 with AVX-512 and on
 * newer Arm.
 */

import { encodeModel } from '../file/proto.js';
import { Graph } from '../graph.js';
import { NativeGraph, nativeTensor } from './binding.js';
import { BLOCKED_DOMAIN } from './blocked-convolutions.js';
import { activeProvider } from './choose-provider.js';

const CHANNELS = 32;
/** Pixels are counted 0 … 3 in channel 0, so that value 1 lies one block behind value 0. */
const DIMS = [1, CHANNELS, 2, 2];

let known: number | undefined;

/**
 * Found by reordering a counted tensor, once. 0 on other providers, and where this onnxruntime has no such kernels, or
 * others than we know.
 */
export function blockSize(): number {
  known ??= activeProvider() === 'cpu' ? probe() : 0;
  return known;
}

function probe(): number {
  const g = new Graph({ opset: 17, lrn: 'conv' });
  const input = g.input('x', 'float32', DIMS);
  const [output] = g.multi('ReorderInput', [input], {}, [{ dims: DIMS, dtype: 'float32' }], BLOCKED_DOMAIN);
  const counted = Float32Array.from({ length: 4 * CHANNELS }, (_, i) => i);
  const reordered = new Float32Array(counted.length);
  try {
    const model = encodeModel({
      graphName: 'probe',
      opset: 17,
      domains: [BLOCKED_DOMAIN],
      nodes: g.nodes,
      initializers: g.initializers,
      inputs: [input],
      outputs: [output],
    });
    const graph = new NativeGraph(model, { provider: 'cpu' });
    graph.run(
      { x: nativeTensor('float32', counted, DIMS) },
      { [output.name]: nativeTensor('float32', reordered, DIMS) },
    );
    graph.release();
  } catch {
    return 0; // no such operator in this build
  }
  const block = reordered.indexOf(1);
  return block === 8 || block === 16 ? block : 0;
}
