/**
 * What onnxruntime computes on. Neither `listSupportedBackends()` nor the creation of a session with a fallback list
 * tells whether a provider works here (the first lists CUDA without its libraries, the second throws or silently drops
 * it): only trying does.
 */
import { bothNames, UserError } from '../../base/errors.js';
import { adapterOf, autoCandidates, reasonOf, requireRealGpu } from '../../onnx/backend/auto-provider.js';
import type { Provider, ProviderChoice } from '../../onnx/backend/provider.js';

/**
 * The first provider that `attempt` succeeds with: the one named, or for `auto` a GPU that is real, else the CPU. One
 * line to `log` says which, on which GPU, and why no other.
 * @param attempt  opens the model and runs it once
 * @throws {UserError} when the provider named does not run, with the cause
 */
export async function chooseProvider<T>(
  choice: ProviderChoice,
  attempt: (provider: Provider) => Promise<T>,
  log: (line: string) => void,
): Promise<{ provider: Provider; result: T }> {
  const { candidates, refused } = choice === 'auto' ? autoCandidates() : { candidates: [choice], refused: [] };
  for (const provider of candidates) {
    try {
      if (choice === 'auto') requireRealGpu(provider);
      const result = await attempt(provider);
      const adapter = adapterOf(provider);
      const why = choice === 'auto' ? ` (${['auto', ...refused].join('; ')})` : '';
      log(`provider ${provider}${adapter && `: ${adapter}`}${why}`);
      return { provider, result };
    } catch (cause) {
      const reason = reasonOf(cause);
      if (provider === candidates.at(-1)) {
        const advice = provider === 'cpu' ? '' : `; set ${bothNames('provider')} to auto to fall back to the CPU`;
        throw new UserError(`the model does not run on provider ${provider}: ${reason}${advice}`, { cause });
      }
      refused.push(`${provider}: ${reason}`);
    }
  }
  throw new RangeError('no provider to try');
}
