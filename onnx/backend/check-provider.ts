/**
 * Tries the provider before any training: a session that cannot run would otherwise fail in the middle of the first
 * step.
 */
import { UserError } from '../../base/errors.js';
import { encodeModel } from '../file/proto.js';
import { Graph } from '../graph.js';
import { activeProvider, NativeGraph, nativeTensor } from './binding.js';
import { PROVIDER_ADVICE, type Provider } from './provider.js';

/**
 * Runs one addition on the provider of `ALEXNET_PROVIDER`.
 * @returns  the provider
 * @throws {UserError} when it does not run here, with the cause and what to do
 */
export function checkProvider(): Provider {
  const provider = activeProvider();
  try {
    runAddition();
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0].slice(0, 300);
    throw new UserError(`ALEXNET_PROVIDER=${provider}: does not run here (${reason}); ${PROVIDER_ADVICE[provider]}`, {
      cause,
    });
  }
  return provider;
}

function runAddition(): void {
  const g = new Graph({ opset: 17, lrn: 'conv' });
  const x = g.input('x', 'float32', [2]);
  const sum = g.node('Add', [x, x], {}, [2]);
  const model = encodeModel({
    graphName: 'probe',
    opset: 17,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [x],
    outputs: [sum],
  });
  const graph = new NativeGraph(model);
  const result = new Float32Array(2);
  graph.run(
    { x: nativeTensor('float32', Float32Array.of(1, 2), [2]) },
    { [sum.name]: nativeTensor('float32', result, [2]) },
  );
  graph.release();
  if (result[1] !== 4) throw new Error(`2 + 2 gave ${result[1]}`);
}
