/**
 * Chooses the provider of this process, by trying it before any training: a session that cannot run would otherwise fail
 * in the middle of the first step.
 */
import { bothNames, UserError } from '../../base/errors.js';
import { encodeModel } from '../file/proto.js';
import { Graph } from '../graph.js';
import { signOfGpu } from './adapter.js';
import { adapterOf, autoCandidates, reasonOf, requireRealGpu } from './auto-provider.js';
import { NativeGraph, nativeTensor } from './binding.js';
import { PROVIDER_ADVICE, PROVIDER_VARIABLE, type Provider, type ProviderChoice, providerNamed } from './provider.js';

/** The provider that runs, and why it and no other, for people. */
export interface ChosenProvider {
  provider: Provider;
  why: string;
}

let chosen: (ChosenProvider & { choice: ProviderChoice }) | undefined;

/** What computes in this process: what was chosen or, at the first use, what `ALEXNET_PROVIDER` says. */
export function activeProvider(): Provider {
  return (chosen ?? chooseProvider()).provider;
}

/**
 * Runs one addition on a provider.
 * @param choice  default: what was chosen before, else that of `ALEXNET_PROVIDER`, else the CPU
 * @throws {UserError} when a provider asked for by name does not run here, with the cause and what to do
 */
export function chooseProvider(choice?: ProviderChoice): ChosenProvider {
  if (chosen && (choice === undefined || choice === chosen.choice)) return chosen;
  const wanted = choice ?? providerNamed(process.env[PROVIDER_VARIABLE]);
  const isDefault = choice === undefined && !process.env[PROVIDER_VARIABLE];
  const { provider, why } = wanted === 'auto' ? firstThatRuns() : { provider: wanted, why: '' };
  if (wanted !== 'auto') requireRuns(provider);
  const gpu = isDefault ? signOfGpu() : undefined;
  const hint = gpu && `there may be a GPU (${gpu}): set ${bothNames('provider')} to auto to use it if it works`;
  chosen = { choice: wanted, provider, why: [adapterOf(provider), why, hint].filter(Boolean).join('; ') };
  return chosen;
}

function firstThatRuns(): ChosenProvider {
  const { candidates, refused } = autoCandidates();
  for (const provider of candidates) {
    try {
      requireRealGpu(provider);
      runAddition(provider);
      return { provider, why: `--provider auto${refused.length > 0 ? ` (${refused.join('; ')})` : ''}` };
    } catch (cause) {
      refused.push(`${provider}: ${reasonOf(cause)}`);
    }
  }
  throw new UserError(`onnxruntime does not run here: ${refused.join('; ')}; ${PROVIDER_ADVICE.cpu}`);
}

function requireRuns(provider: Provider): void {
  try {
    runAddition(provider);
  } catch (cause) {
    throw new UserError(`provider ${provider} does not run here (${reasonOf(cause)}); ${PROVIDER_ADVICE[provider]}`, {
      cause,
    });
  }
}

function runAddition(provider: Provider): void {
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
  const graph = new NativeGraph(model, { provider });
  const result = new Float32Array(2);
  graph.run(
    { x: nativeTensor('float32', Float32Array.of(1, 2), [2]) },
    { [sum.name]: nativeTensor('float32', result, [2]) },
  );
  graph.release();
  if (result[1] !== 4) throw new Error(`2 + 2 gave ${result[1]}`);
}
