/** The images of a pack's shards (`pack-format.ts`), each checked against its checksum. */
import { subtle } from 'node:crypto';
import { UserError } from '../../../base/errors.js';
import { OpenFiles } from '../archive/open-files.js';
import { CHECKSUM_LENGTH, checksum, shardFile } from '../pack/pack-format.js';
import type { PieceReader } from './piece-reader.js';

/** Images of shards by place, read at every use. */
export class ShardReader {
  constructor(
    private readonly folder: string,
    private readonly recordBytes: number,
    private readonly recordsPerShard: number,
    private readonly files: PieceReader = new OpenFiles(),
  ) {}

  /**
   * @param expected  the image's checksum
   * @throws {UserError} when the shard cannot be read, or the image is not what was written
   */
  pixels(place: number, name: string, expected: string): Uint8Array {
    const { file, record } = this.find(place);
    if (!this.files.readNow) throw new Error(`${name} is far away and was not loaded`);
    try {
      const pixels = this.files.readNow(file, record * this.recordBytes, this.recordBytes);
      return this.checked(pixels, place, name, checksum(pixels) === expected);
    } catch (cause) {
      throw readError(file, cause as Error);
    }
  }

  /** The same behind: reading and checking are jobs of libuv's threads. */
  async load(place: number, name: string, expected: string): Promise<Uint8Array> {
    const { file, record } = this.find(place);
    const at = [file, record * this.recordBytes, this.recordBytes] as const;
    try {
      let pixels = await this.files.read(...at);
      let whole = (await checksumBehind(pixels)) === expected;
      if (!whole && this.files.readAnew) {
        pixels = await this.files.readAnew(...at);
        whole = (await checksumBehind(pixels)) === expected;
      }
      return this.checked(pixels, place, name, whole);
    } catch (cause) {
      throw readError(file, cause as Error);
    }
  }

  close(): void {
    this.files.close();
  }

  private find(place: number): { file: string; record: number } {
    const shard = Math.floor(place / this.recordsPerShard);
    return { file: shardFile(this.folder, shard, 'bin'), record: place % this.recordsPerShard };
  }

  private checked(pixels: Uint8Array, place: number, name: string, whole: boolean): Uint8Array {
    if (whole) return pixels;
    const { file, record } = this.find(place);
    const { recordBytes } = this;
    const cut = pixels.length < recordBytes;
    const advice = this.files.readAnew
      ? 'fetching it again did not help: upload this file again'
      : 'delete this file and the .json next to it and run "alexnet prepare" again: it restores what is missing';
    throw new UserError(
      `${file}: image ${record}, ${name}, is ${cut ? `cut short after ${pixels.length} of its ${recordBytes} bytes` : 'damaged'}; ${advice}`,
    );
  }
}

function readError(file: string, cause: Error): Error {
  return cause instanceof UserError ? cause : new UserError(`${file}: cannot be read: ${cause.message}`, { cause });
}

/** `checksum` by one of libuv's threads. */
async function checksumBehind(pixels: Uint8Array): Promise<string> {
  const digest = Buffer.from(await subtle.digest('SHA-256', pixels));
  return digest.toString('hex').slice(0, CHECKSUM_LENGTH);
}
