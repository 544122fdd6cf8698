/**
 * Data sets that come as bare pixels: CIFAR-10's binary version (www.cs.toronto.edu/~kriz/cifar.html) and the IDX files
 * of the MNIST family (yann.lecun.com/exdb/mnist). Their images appear as members `train/<class>/…` and
 * `test/<class>/…`.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { UserError } from '../../../base/errors.js';
import { requireFile } from '../../../base/require-file.js';
import type { Member } from '../dataset.js';

const CIFAR_PX = 32;
const CIFAR_RECORD = 1 + 3 * CIFAR_PX * CIFAR_PX;
const CIFAR_FILES: [string, string][] = [
  ...[1, 2, 3, 4, 5].map((batch): [string, string] => ['train', `data_batch_${batch}.bin`]),
  ['test', 'test_batch.bin'],
];

/**
 * @param folder  holds `data_batch_1.bin` … `data_batch_5.bin`, `test_batch.bin` and `batches.meta.txt`
 * @throws {UserError} when a file is missing, cut short, or holds a class that has no name, or two have one name
 */
export async function* cifarMembers(folder: string): AsyncGenerator<Member> {
  const meta = (await readPart(folder, 'batches.meta.txt', 'CIFAR-10, binary version')).toString('utf8');
  const classes = meta
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const twice = classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`${join(folder, 'batches.meta.txt')}: two classes are named ${twice}`);
  for (const [split, name] of CIFAR_FILES) {
    const bytes = await readPart(folder, name, 'CIFAR-10, binary version');
    if (bytes.length === 0 || bytes.length % CIFAR_RECORD !== 0) {
      throw new UserError(
        `${join(folder, name)}: expected records of ${CIFAR_RECORD} bytes, got ${bytes.length} bytes; fetch it again`,
      );
    }
    for (let i = 0; i < bytes.length / CIFAR_RECORD; i++) {
      const record = bytes.subarray(i * CIFAR_RECORD, (i + 1) * CIFAR_RECORD);
      const label = classes[record[0]];
      if (label === undefined) {
        throw new UserError(
          `${join(folder, name)}: image ${i} has the class ${record[0]}; expected 0 to ${classes.length - 1}`,
        );
      }
      const path = `${split}/${label}/${name.replace('.bin', '')}-${String(i).padStart(5, '0')}.png`;
      const size = { width: CIFAR_PX, height: CIFAR_PX, channels: 3 as const };
      const read = async () => ({ pixels: interleaved(record.subarray(1)), ...size });
      yield { path, kind: 'file', read, later: read };
    }
  }
}

/** Planes of R, G, B → RGB. */
function interleaved(planes: Uint8Array): Uint8Array {
  const size = planes.length / 3;
  return Uint8Array.from({ length: planes.length }, (_, i) => planes[(i % 3) * size + Math.floor(i / 3)]);
}

const IDX_IMAGES = 0x803;
const IDX_LABELS = 0x801;
const IDX_FILES: [string, string][] = [
  ['train', 'train'],
  ['test', 't10k'],
];

/**
 * @param folder  holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same of `t10k`, as they are or
 *   `.gz`
 * @throws {UserError} when a file is missing, cut short or of another kind, or images and labels differ in number
 */
export async function* idxMembers(folder: string): AsyncGenerator<Member> {
  for (const [split, prefix] of IDX_FILES) {
    const images = await readIdx(folder, `${prefix}-images-idx3-ubyte`, IDX_IMAGES);
    const labels = await readIdx(folder, `${prefix}-labels-idx1-ubyte`, IDX_LABELS);
    const [count, height, width] = images.lengths;
    if (labels.lengths[0] !== count) {
      throw new UserError(`${folder}: ${prefix} has ${count} images and ${labels.lengths[0]} labels`);
    }
    const size = height * width;
    if (count === 0) throw new UserError(`${folder}: ${prefix} has no images`);
    for (let i = 0; i < count; i++) {
      const pixels = images.values.subarray(i * size, (i + 1) * size);
      const path = `${split}/${String(labels.values[i]).padStart(2, '0')}/${prefix}-${String(i).padStart(5, '0')}.png`;
      const read = async () => ({ pixels, width, height, channels: 1 as const });
      yield { path, kind: 'file', read, later: read };
    }
  }
}

async function readIdx(folder: string, name: string, magic: number): Promise<{ lengths: number[]; values: Buffer }> {
  const packed = !existsSync(join(folder, name));
  const file = packed ? `${name}.gz` : name;
  const read = await readPart(folder, file, 'an IDX data set');
  const bytes = packed ? inflated(join(folder, file), read) : read;
  const axes = magic & 0xff;
  if (bytes.length < 4 + 4 * axes || bytes.readUInt32BE(0) !== magic) {
    throw new UserError(`${join(folder, file)}: no IDX file of ${axes} axes of bytes`);
  }
  const lengths = Array.from({ length: axes }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  const values = bytes.subarray(4 + 4 * axes);
  const expected = lengths.reduce((product, length) => product * length, 1);
  if (values.length === expected) return { lengths, values };
  throw new UserError(
    `${join(folder, file)}: expected ${expected} values for [${lengths}], got ${values.length}; fetch it again`,
  );
}

function inflated(file: string, bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new UserError(`${file}: damaged or cut short: ${(cause as Error).message}`, { cause });
  }
}

async function readPart(folder: string, name: string, what: string): Promise<Buffer> {
  requireFile(join(folder, name));
  return readFile(join(folder, name)).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${join(folder, name)}: cannot be read (${cause.code}); ${what} has this file`, { cause });
  });
}
