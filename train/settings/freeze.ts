/** Which layers `--freeze` means. */
import { UsageError } from '../../base/errors.js';
import type { NetworkSpec } from '../../model/spec.js';

/** Names of the layers that have weights, in order. */
export function layersWithWeights(spec: NetworkSpec): string[] {
  return spec.rows.filter((row) => 'stddev' in row).map(({ name }) => name);
}

/**
 * @param words  names of layers, or ranges `conv1..conv5` in the network's order, both ends included; `none` alone
 * @returns      names in the network's order, each once
 * @throws {UsageError} for a name that the network does not have, a range that runs backwards, or if no layer is left
 *   to train
 */
export function frozenLayers(spec: NetworkSpec, words: readonly string[]): string[] {
  if (String(words) === 'none') return [];
  const names = layersWithWeights(spec);
  const place = (name: string) => {
    const index = names.indexOf(name);
    if (index >= 0) return index;
    throw new UsageError(`--freeze: ${spec.name} has no layer "${name}" with weights; there are: ${names.join(', ')}`);
  };
  const frozen = new Set<string>();
  for (const word of words) {
    const [first, last = first, ...more] = word.split('..').map((name) => place(name.trim()));
    if (more.length > 0 || last < first) {
      throw new UsageError(`--freeze: expected FIRST..LAST in the order ${names.join(', ')}, got "${word}"`);
    }
    for (const name of names.slice(first, last + 1)) frozen.add(name);
  }
  if (frozen.size === names.length) {
    throw new UsageError(`--freeze: leaves nothing to train: ${spec.name} has no layers but ${names.join(', ')}`);
  }
  return names.filter((name) => frozen.has(name));
}
