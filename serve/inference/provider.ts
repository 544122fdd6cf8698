/**
 * What onnxruntime computes on. Neither `listSupportedBackends()` nor the creation of a session with a fallback list
 * tells whether a provider works here (the first lists CUDA without its libraries, the second throws or silently drops
 * it): only trying does.
 */
import { UserError } from '../../base/errors.js';
import { PROVIDERS, type Provider } from '../../onnx/backend/provider.js';

export type ProviderChoice = Provider | 'auto';
export const PROVIDER_CHOICES: readonly ProviderChoice[] = ['auto', ...PROVIDERS.toReversed()];

/** WebGPU only when named: where no GPU answers, it runs on a software rasteriser, slower than the CPU provider. */
const AUTO: readonly Provider[] = ['cuda', 'cpu'];

/**
 * The first provider that `attempt` succeeds with: the one named, or for `auto` CUDA, then CPU, with one line to `log`
 * on fallback.
 * @param attempt  opens the model and runs it once
 * @throws {UserError} when the provider named does not run, with the cause
 */
export async function chooseProvider<T>(
  choice: ProviderChoice,
  attempt: (provider: Provider) => Promise<T>,
  log: (line: string) => void,
): Promise<{ provider: Provider; result: T }> {
  const candidates = choice === 'auto' ? AUTO : [choice];
  for (const provider of candidates) {
    try {
      return { provider, result: await attempt(provider) };
    } catch (cause) {
      const reason = firstLine(cause);
      if (provider === candidates.at(-1)) {
        const advice = provider === 'cpu' ? '' : '; --provider auto falls back to the CPU';
        throw new UserError(`the model does not run on provider ${provider}: ${reason}${advice}`, { cause });
      }
      log(`provider ${provider} does not run here (${reason}); trying ${candidates[candidates.indexOf(provider) + 1]}`);
    }
  }
  throw new RangeError('no provider to try');
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].slice(0, 300);
}
