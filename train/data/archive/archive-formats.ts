/**
 * Archives and compressions other than .tar and .tar.gz: recognised by their first bytes, and named with the command
 * that unpacks them.
 */
import { UserError } from '../../../base/errors.js';

interface Format {
  name: string;
  /** First bytes. */
  start: string;
  /**
   * Unpacks the file that is named after it; or writes what was compressed to stdout, if it is not an archive of its
   * own.
   */
  command: string;
  /** Of a compressed tar's name. */
  ending?: RegExp;
}

const FORMATS: Format[] = [
  { name: 'bzip2', start: 'BZh', command: 'bzip2 -dc', ending: /\.(bz2?|tbz2?)$/i },
  { name: 'xz', start: '\xfd7zXZ\0', command: 'xz -dc', ending: /\.(xz|txz)$/i },
  { name: 'Zstandard', start: '\x28\xb5\x2f\xfd', command: 'zstd -dc', ending: /\.(zst|tzst)$/i },
  { name: 'LZ4', start: '\x04\x22\x4d\x18', command: 'lz4 -dc', ending: /\.lz4$/i },
  { name: 'lzip', start: 'LZIP', command: 'lzip -dc', ending: /\.(lz|tlz)$/i },
  { name: 'compress', start: '\x1f\x9d', command: 'gzip -dc', ending: /\.(Z|taz)$/i },
  { name: 'ZIP', start: 'PK', command: 'unzip' },
  { name: '7z', start: "7z\xbc\xaf'\x1c", command: '7z x' },
  { name: 'RAR', start: 'Rar!\x1a\x07', command: 'unrar x' },
];

/**
 * @param start  the file's first bytes, one a character
 * @throws {UserError} when they are those of an archive that has to be unpacked first
 */
export function checkFormat(file: string, start: string): void {
  const format = FORMATS.find((known) => start.startsWith(known.start));
  if (!format) return;
  const { name, ending, command } = format;
  const expected = `${file}: expected a folder, a .tar or a .tar.gz, got`;
  if (!ending)
    throw new UserError(
      `${expected} a ${name} archive; unpack it with "${command} ${quoted(file)}" and name the folder`,
    );
  const bare = file.replace(ending, '').replace(/\.tar$/, '');
  const tar = `${bare}.tar` === file ? `${bare}-decompressed.tar` : `${bare}.tar`;
  throw new UserError(
    `${expected} a file compressed with ${name}; decompress it with "${command} ${quoted(file)} > ${quoted(tar)}" and name ${tar}`,
  );
}

/** For a shell. */
const quoted = (file: string): string => (/^[\w./:+-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`);
