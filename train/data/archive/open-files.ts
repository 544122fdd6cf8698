/** Pieces of files by position, from many files in any order: those used last stay open. */
import { closeSync, createReadStream, existsSync, openSync, read as readInto, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { requireFile } from '../../../base/require-file.js';
import type { PieceReader } from '../stream/piece-reader.js';

const readBehind = promisify(readInto);
/** Files that stay open; more are open while pieces of more are being read. */
const MAX_IDLE = 64;

interface OpenFile {
  descriptor: number;
  /** Pieces being read. */
  reading: number;
}

export class OpenFiles implements PieceReader {
  /** In the order of their last use. */
  private readonly files = new Map<string, OpenFile>();

  /** One job of libuv's threads. */
  async read(file: string, position: number, length: number): Promise<Buffer> {
    const open = this.use(file);
    open.reading += 1;
    try {
      const bytes = Buffer.allocUnsafeSlow(length);
      const { bytesRead } = await readBehind(open.descriptor, bytes, 0, length, position);
      return bytes.subarray(0, bytesRead);
    } finally {
      open.reading -= 1;
    }
  }

  piece(file: string, position: number, length: number): () => Promise<Buffer> {
    return () => this.read(file, position, length);
  }

  readNow(file: string, position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    return bytes.subarray(0, readSync(this.use(file).descriptor, bytes, 0, length, position));
  }

  stream(file: string): Readable {
    requireFile(file);
    return createReadStream(file);
  }

  async whole(file: string): Promise<Buffer> {
    requireFile(file);
    return readFile(file);
  }

  async exists(file: string): Promise<boolean> {
    return existsSync(file);
  }

  close(): void {
    for (const { descriptor } of this.files.values()) closeSync(descriptor);
    this.files.clear();
  }

  private use(file: string): OpenFile {
    const open = this.files.get(file) ?? { descriptor: opened(file), reading: 0 };
    this.files.delete(file);
    this.files.set(file, open);
    for (const [name, { descriptor, reading }] of this.files) {
      if (this.files.size <= MAX_IDLE) break;
      if (reading > 0 || name === file) continue;
      closeSync(descriptor);
      this.files.delete(name);
    }
    return open;
  }
}

function opened(file: string): number {
  requireFile(file);
  return openSync(file, 'r');
}
