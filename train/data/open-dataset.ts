/**
 * Opens what `--data` names: a folder of pictures, the same as .tar or .tar.gz, or `emoji`, the embedded data set (a folder of
 * that name is `./emoji`). A folder and a tar of it give the same data set, picture by picture.
 */
import { stat } from 'node:fs/promises';
import { UserError } from '../../model/errors.js';
import type { Dataset, Member, OpenOptions } from './dataset.js';
import { openEmoji } from './emoji.js';
import { folderMembers } from './image-folder.js';
import { isWanted, readPictures } from './picture-dataset.js';
import { tarMembers } from './tar-pictures.js';

/**
 * @param source  as given to `--data`
 * @throws {UserError} when there is no such path, it is no tar or a damaged one, or its content does not make a data set:
 *                     no pictures, one class only, an empty class folder, splits with different classes, more than 1 % of
 *                     the pictures unreadable
 */
export async function openDataset(source: string, options: OpenOptions): Promise<Dataset> {
  if (source === 'emoji') return openEmoji(options);
  const found = await stat(source).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such file or folder' : cause.message;
    throw new UserError(`${source}: ${reason}; --data takes a folder, a .tar, a .tar.gz or the word emoji`, { cause });
  });
  if (!found.isDirectory()) return readPictures(source, tarMembers(source), options);

  const members: Member[] = [];
  for await (const member of folderMembers(source)) members.push(member);
  const total = members.filter((member) => isWanted(member, options)).length;
  return readPictures(source, members, options, total);
}
