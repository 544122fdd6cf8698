/** How many images of a data set may be unreadable, and what people hear of them. */
import { UserError } from '../../../base/errors.js';
import type { Dataset, MaxBad } from '../dataset.js';

/** Above it the data set is taken to be broken; one image alone never is. */
export const DEFAULT_MAX_BAD = { share: 0.05 };

type Skipped = Dataset['skipped'];

/** Names in a message or in warnings; the others are counted. */
const NAMED = { inError: 3, inWarnings: 20 };

/**
 * @param images  of the whole source, read or not
 * @throws {UserError} if too many are unreadable, naming the first
 */
export function checkBad(source: string, skipped: Skipped, images: number, limit?: MaxBad): void {
  const { share } = DEFAULT_MAX_BAD;
  const most =
    limit === undefined ? Math.max(1, share * images) : 'share' in limit ? limit.share * images : limit.images;
  if (skipped.length <= most) return;
  const first = skipped.toSorted(byName).slice(0, NAMED.inError);
  const named = first.map(({ name, reason }) => `${name} (${reason})`).join('; ');
  const allowed =
    limit !== undefined && 'images' in limit ? limit.images : `${100 * (limit ?? DEFAULT_MAX_BAD).share} %`;
  throw new UserError(
    `${source}: ${skipped.length} of ${images} images are unreadable, at most ${allowed} may be: ` +
      `${named}${skipped.length > first.length ? '; …' : ''}. Remove or repair them, or leave them out with --max-bad ${skipped.length}`,
  );
}

export const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

/** A line each, up to some. */
export function describeBad(skipped: Skipped): string[] {
  const lines = skipped.slice(0, NAMED.inWarnings).map(({ name, reason }) => `skipped ${name}: ${reason}`);
  if (skipped.length > lines.length) lines.push(`… and ${skipped.length - lines.length} more`);
  return skipped.length === 0
    ? []
    : [...lines, `left out ${skipped.length} unreadable image${skipped.length > 1 ? 's' : ''}`];
}
