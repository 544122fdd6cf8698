/** Work of a network, and how fast a provider multiplies large matrices: what its rates are compared with. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { LocallyConnected2D } from '../../model/local-layer.js';
import { NativeGraph, nativeTensor } from '../../onnx/backend/binding.js';
import type { Provider } from '../../onnx/backend/provider.js';
import { encodeModel } from '../../onnx/file/proto.js';
import { Graph, type Value } from '../../onnx/graph.js';

/**
 * Multiplications and additions of an image: every kernel once forward, and in a step in two gradients as well, the
 * first without that of its input.
 */
export function flopsPerImage(model: tfl.LayersModel, pass: 'forward' | 'step'): number {
  const kernels = model.layers.filter((layer) => layer.weights.some(({ shape }) => shape.length > 1));
  return kernels.reduce((sum, layer, i) => {
    const { shape } = layer.weights.find(({ shape }) => shape.length > 1)!;
    const sides = layer instanceof LocallyConnected2D ? [] : (layer.outputShape as number[]).slice(1, -1);
    const positions = sides.reduce((product, side) => product * side, 1); // that share a kernel
    const products = (shape as number[]).reduce((product, side) => product * side, positions);
    const times = pass === 'forward' ? 1 : i === 0 ? 2 : 3;
    return sum + 2 * products * times;
  }, 0);
}

/** Products in a row, so that one run is long compared with the copy of its matrix. */
const CHAIN = 8;
const SIDES = [256, 512, 1024, 2048, 4096, 8192];
/** A run that takes this long is large enough. */
const ENOUGH_MS = 200;

/** FLOP/s of products of n × n matrices in float32, n as large as takes a fraction of a second: the best of some runs. */
export function productRate(provider: Provider, threads: number): { side: number; flops: number } {
  let best = { side: 0, flops: 0 };
  for (const side of SIDES) {
    const times = timesOf(provider, side, threads);
    const ms = Math.min(...times);
    best = { side, flops: (CHAIN * 2 * side ** 3) / (ms / 1000) };
    if (ms > ENOUGH_MS) break;
  }
  return best;
}

function timesOf(provider: Provider, side: number, threads: number): number[] {
  const g = new Graph({ opset: 17, lrn: 'conv' });
  const x = g.input('x', 'float32', [side, side]);
  let product: Value = x;
  for (let i = 0; i < CHAIN; i++) product = g.node('MatMul', [product, x], {}, [side, side]);
  const mean = g.node('ReduceMean', [product], { keepdims: 0 }, []);
  const parts = { graphName: 'product', opset: 17, nodes: g.nodes, initializers: g.initializers };
  const graph = new NativeGraph(encodeModel({ ...parts, inputs: [x], outputs: [mean] }), { provider, threads });
  const feeds = { x: nativeTensor('float32', new Float32Array(side * side).fill(1 / side), [side, side]) };
  const times: number[] = [];
  for (const begun = performance.now(); times.length < 2 || (times.length < 4 && performance.now() - begun < 2000); ) {
    const started = performance.now();
    graph.run(feeds, { [mean.name]: nativeTensor('float32', new Float32Array(1), []) });
    times.push(performance.now() - started);
  }
  graph.release();
  return times.slice(1); // the first compiles
}
