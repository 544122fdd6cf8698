/** Makes sure at the start of a server that one of its models made its index. */
import { UserError } from '../../../base/errors.js';
import { sha256Of } from '../../../base/sha256.js';
import type { IndexHeader } from './index-file.js';

/** @throws {UserError} if none of the models made it */
export async function requireMadeBy(index: string, { model }: IndexHeader, files: readonly string[]): Promise<void> {
  for (const file of files) if ((await sha256Of(file)) === model.sha256) return;
  throw new UserError(
    `${index}: was made with another file of ${model.name} than ${files.join(', ')}; make it again with "alexnet index --model FILE"`,
  );
}
