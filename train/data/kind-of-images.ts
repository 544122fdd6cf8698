/** What the images of a split are: names of splits also stand for images of another kind. */
import type { Dataset } from './dataset.js';

/**
 * For people, e.g. `val` in "20 val images". If a source has no images of that name, those that stand in for them:
 * `test` or `val`, `held-out`, or `train`.
 */
export function kindOfImages({ splits, divided }: Pick<Dataset, 'splits' | 'divided'>, name: string): string {
  if (name !== 'val' && name !== 'test') return name;
  // A split's own name comes before those that it also serves under.
  const own = Object.keys(splits).find((other) => splits[other] === splits[name]) ?? name;
  return divided !== undefined && own !== 'train' ? 'held-out' : own;
}
