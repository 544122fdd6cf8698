/** The run whose weights `alexnet learn` starts from: the one that is named, or one made of the file that is named. */
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { requireFile } from '../../base/require-file.js';
import { sha256Of } from '../../base/sha256.js';
import { fetchWeights, KNOWN_WEIGHTS } from '../../export/import/fetch-weights.js';
import { FORMATS } from '../../export/import/open-source.js';
import { makeCacheFolder, remoteOptions } from '../../train/data/remote/options.js';
import { hasCheckpoint } from '../../train/run/load-checkpoint.js';
import { checkpointsOf, holdsRun } from '../../train/run/run-folder.js';
import { importRun } from '../import.js';

/**
 * @param from  a run's folder, a file, a URL or a name of `KNOWN_WEIGHTS`
 * @returns     the run's folder; of a file it is in the cache, by the file's contents, and among what was `kept` there
 * @throws {UserError} if there is nothing of that name, it cannot be fetched, or holds no weights
 */
export async function runOfWeights(from: string, progress: Progress): Promise<{ run: string; kept: string[] }> {
  if (holdsRun(from)) return { run: from, kept: [] };
  const { path, model } = await fetchWeights(from, progress).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${error.message}\nOr learn from a run of your own: --from runs/demo, after "alexnet demo"`, {
      cause: error,
    });
  });
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found || found.isDirectory()) {
    throw new UserError(
      `--from ${from}: ${found ? 'a folder without a run' : 'nothing there'}; expected a run, a file of weights (${FORMATS}), a URL, or ${Object.keys(KNOWN_WEIGHTS).join(' or ')}`,
    );
  }
  requireFile(path);
  const run = join(remoteOptions().cacheFolder, 'imported', (await sha256Of(path)).slice(0, 16));
  // `last/` is what an import writes at its end.
  const kept = [run, ...(path === from ? [] : [path])];
  if (hasCheckpoint(checkpointsOf(run).last)) return { run, kept };
  await makeCacheFolder(dirname(run));
  const { warnings } = await importRun({ file: path, model, out: run, force: true }, progress);
  for (const warning of warnings) progress.note(`warning: ${warning}`);
  return { run, kept };
}
