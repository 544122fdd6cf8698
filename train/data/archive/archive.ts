/**
 * The members of a .tar or .tar.gz as unpacking would leave them: the last of several with one path, and for a hard
 * link the file that it is another name of. It is read twice, from front to back to know them, and then for the images
 * that are wanted.
 */
import type { Member } from '../dataset.js';
import { type TarMember, tarMembers } from './tar-images.js';

/** A member without its bytes, and the number in the archive of the one that has them. */
interface Unpacked extends Omit<TarMember, 'read'> {
  at: number;
}

/** @throws {UserError} see `tarMembers` */
export async function openArchive(file: string): Promise<{ listed: Member[]; members?: AsyncIterable<Member> }> {
  const unpacked = await listMembers(file);
  const isInPlace = unpacked.every(({ kind, later }) => kind !== 'file' || later !== undefined);
  const listed = unpacked.map((member) => ({ ...member, read: member.later! }));
  return { listed, ...(!isInPlace && { members: { [Symbol.asyncIterator]: () => readAgain(file, unpacked) } }) };
}

async function listMembers(file: string): Promise<Unpacked[]> {
  const byPath = new Map<string, Unpacked>();
  let at = 0;
  for await (const { path, kind, reason, later, linksTo } of tarMembers(file)) {
    const target = linksTo === undefined ? undefined : byPath.get(linksTo);
    byPath.delete(path); // in the place of its last time, as it is read
    byPath.set(path, target ? { ...target, path } : { path, kind, reason, later, at });
    at += 1;
  }
  return [...byPath.values()];
}

/** Of a compressed archive, which can be read from front to back alone. */
async function* readAgain(file: string, unpacked: Unpacked[]): AsyncGenerator<Member> {
  const byNumber = new Map<number, Unpacked[]>();
  for (const member of unpacked) byNumber.set(member.at, [...(byNumber.get(member.at) ?? []), member]);
  let number = 0;
  for await (const { read } of tarMembers(file)) {
    for (const member of byNumber.get(number) ?? []) yield { ...member, read };
    number += 1;
  }
}
