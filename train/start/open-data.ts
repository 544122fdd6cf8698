/** Opens data sets for commands that can stream them, and tells people what was found. */

import type { Progress } from '../../base/progress.js';
import type { Dataset, OpenOptions } from '../data/dataset.js';
import { openDataset } from '../data/open-dataset.js';
import { describeBad } from '../data/stream/bad-images.js';

/**
 * @param always  decode images at every use even if they fit in memory
 * @throws {UserError} see `openDataset`
 */
export async function openStreamable(
  source: string,
  options: OpenOptions,
  always: boolean | undefined,
  progress: Progress,
): Promise<Dataset> {
  const onProgress = (done: number, total?: number) => progress.work('reading images', done, total);
  const remote = { note: progress.note, ...options.remote };
  const dataset = await openDataset(source, { ...options, stream: always ? 'always' : 'large', onProgress, remote });
  reportDataset(dataset, progress);
  if (dataset.streamed) progress.note(`${source}: ${dataset.streamed}`);
  return dataset;
}

export function reportDataset(
  { skipped, notes, divided }: Pick<Dataset, 'skipped' | 'notes' | 'divided'>,
  progress: Pick<Progress, 'note'>,
): void {
  if (divided !== undefined) progress.note(divided);
  for (const note of [...describeBad(skipped), ...notes]) progress.note(`warning: ${note}`);
}
