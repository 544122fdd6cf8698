/** Makes sure at the start of a server that an index is whole and that one of its models made it. */
import { UserError } from '../../../model/errors.js';
import { sha256Of } from '../sha256-of.js';
import { checkDigest, readIndexHeader } from './index-file.js';

/** @throws {UserError} */
export async function requireIndexOf(index: string, models: readonly string[]): Promise<void> {
  const { model } = await readIndexHeader(index);
  await checkDigest(index);
  for (const file of models) if ((await sha256Of(file)) === model.sha256) return;
  throw new UserError(
    `${index}: was made with another file of ${model.name} than ${models.join(', ')}; make it again with "alexnet index --model FILE"`,
  );
}
