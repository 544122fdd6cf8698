/** Bodies on their way in: bounded together over all connections, and in time. */
import type { Request, Response } from 'express';
import { RequestError } from '../errors.js';

/** Slower bodies are given up, after a time to get going. Kestrel's rate. */
const MIN_BYTES_PER_SECOND = 240;
const GRACE_MS = 10_000;
const CHECK_MS = 1000;
/** For a body of unknown length, bytes; doubled as more arrives. */
const FIRST_CAPACITY = 65_536;

export interface UploadOptions {
  /** For a whole body, milliseconds. */
  uploadTimeoutMs: number;
  /** Of bodies that the server holds at once, from their announcement to the end of their answer; bytes. */
  maxInFlight: number;
}

export class Uploads {
  private held = 0;

  constructor(private readonly options: UploadOptions) {}

  get bytesInFlight(): number {
    return this.held;
  }

  /**
   * A body in memory of its own.
   * @param limit     its size allowed, bytes
   * @param tooLarge  thrown where it has more; what else the client sends is discarded
   * @throws {RequestError} IN_FLIGHT_FULL before anything is read; UPLOAD_TIMEOUT; BAD_REQUEST when the client is gone
   */
  async read(request: Request, limit: number, tooLarge: () => RequestError): Promise<Buffer> {
    const { 'content-length': declared, expect } = request.headers;
    if (Number(declared ?? 0) > limit) throw tooLarge();
    const share = this.share(request.res!);
    try {
      const capacity = declared === undefined ? Math.min(limit, FIRST_CAPACITY) : Number(declared);
      share.take(capacity);
      if (expect !== undefined) request.res!.writeContinue();
      return await this.collect(request, new Body(capacity, limit, share.take, tooLarge));
    } catch (error) {
      share.release();
      throw error;
    }
  }

  /** What one request holds, until its answer has ended in whatever way. */
  private share(response: Response) {
    let mine = 0;
    const release = () => {
      this.held -= mine;
      mine = 0;
    };
    const take = (bytes: number) => {
      if (this.held + bytes > this.options.maxInFlight) throw new RequestError('IN_FLIGHT_FULL', undefined, 1);
      this.held += bytes;
      mine += bytes;
    };
    response.once('close', release);
    return { take, release };
  }

  private collect(request: Request, body: Body): Promise<Buffer> {
    const { uploadTimeoutMs } = this.options;
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        clearInterval(watch);
        request.off('data', add).resume();
        reject(error);
      };
      const add = (chunk: Buffer) => {
        try {
          body.add(chunk);
        } catch (error) {
          fail(error);
        }
      };
      const watch = setInterval(
        () => {
          const ms = performance.now() - started;
          if (ms >= uploadTimeoutMs) return fail(tooSlow(`took more than ${uploadTimeoutMs / 1000} s`));
          const isSlow = ms >= GRACE_MS && body.size < (MIN_BYTES_PER_SECOND * ms) / 1000;
          return isSlow && fail(tooSlow(`came at less than ${MIN_BYTES_PER_SECOND} bytes a second`));
        },
        Math.min(CHECK_MS, uploadTimeoutMs),
      );
      const brokenOff = () => fail(new RequestError('BAD_REQUEST', 'the body ended early'));
      request.on('data', add);
      request.once('end', () => {
        clearInterval(watch);
        request.off('close', brokenOff);
        resolve(body.whole);
      });
      request.once('error', brokenOff);
      request.once('close', brokenOff);
    });
  }
}

/** One block that chunks are copied into: a body in chunks of a byte takes no more than in one. */
class Body {
  size = 0;
  private block: Buffer;

  constructor(
    capacity: number,
    private readonly limit: number,
    private readonly take: (bytes: number) => void,
    private readonly tooLarge: () => RequestError,
  ) {
    this.block = Buffer.allocUnsafeSlow(capacity);
  }

  get whole(): Buffer {
    return this.block.subarray(0, this.size);
  }

  add(chunk: Buffer): void {
    const size = this.size + chunk.length;
    if (size > this.limit) throw this.tooLarge();
    if (size > this.block.length) this.grow(Math.min(this.limit, Math.max(size, 2 * this.block.length)));
    chunk.copy(this.block, this.size);
    this.size = size;
  }

  private grow(capacity: number): void {
    this.take(capacity - this.block.length);
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.block.copy(larger, 0, 0, this.size);
    this.block = larger;
  }
}

function tooSlow(how: string): RequestError {
  return new RequestError(
    'UPLOAD_TIMEOUT',
    `the body ${how}; send it faster, or start the server with a longer --upload-timeout`,
  );
}
