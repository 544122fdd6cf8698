/** Bodies on their way in: bounded together over all connections, and in time. */
import type { Transform } from 'node:stream';
import type { Request, Response } from 'express';
import { bothNames } from '../../base/errors.js';
import { RequestError } from '../errors.js';
import { decoderOf } from './inflate.js';

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
  /** Give up the bodies that are arriving. */
  private readonly arriving = new Set<(error: RequestError) => void>();

  constructor(private readonly options: UploadOptions) {}

  get bytesInFlight(): number {
    return this.held;
  }

  /** Gives up the bodies that are still arriving: their clients learn it rather than lose the connection. */
  refuseArriving(error: RequestError): void {
    for (const fail of this.arriving) fail(error);
  }

  /**
   * A body in memory of its own, decompressed.
   * @param limit     its size allowed, bytes: as it is sent, and decompressed
   * @param tooLarge  thrown where it has more; what else the client sends is discarded
   * @throws {RequestError} IN_FLIGHT_FULL before anything is read; UNSUPPORTED_ENCODING; UPLOAD_TIMEOUT; BAD_REQUEST when
   *   the client is gone, or what it sent cannot be decompressed
   */
  async read(request: Request, limit: number, tooLarge: () => RequestError): Promise<Buffer> {
    const { 'content-length': declared, 'content-encoding': encoding, expect } = request.headers;
    if (request.readableEnded) return readBefore(request, limit, tooLarge);
    const decoder = decoderOf(encoding);
    if (Number(declared ?? 0) > limit) throw tooLarge();
    const share = this.share(request.res!);
    try {
      const isKnown = declared !== undefined && !decoder;
      const capacity = isKnown ? Number(declared) : Math.min(limit, FIRST_CAPACITY);
      share.take(capacity);
      if (expect !== undefined) request.res!.writeContinue();
      return await this.collect(request, new Body(capacity, limit, share.take, tooLarge), decoder);
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

  private collect(request: Request, body: Body, decoder?: Transform): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const source = decoder ? request.pipe(decoder) : request;
      const settle = () => {
        stopWatch();
        this.arriving.delete(fail);
      };
      const fail = (error: unknown) => {
        settle();
        source.off('data', add);
        request.off('data', receive).unpipe().resume();
        decoder?.destroy();
        reject(error);
      };
      const attempt = (step: () => void) => {
        try {
          step();
        } catch (error) {
          fail(error);
        }
      };
      const add = (chunk: Buffer) => attempt(() => body.add(chunk));
      const receive = (chunk: Buffer) => attempt(() => body.receive(chunk));
      const stopWatch = this.watch(body, fail);
      this.arriving.add(fail);
      const brokenOff = () => {
        if (!request.readableEnded) fail(new RequestError('BAD_REQUEST', 'the body ended early'));
      };
      request.on('data', receive);
      source.on('data', add);
      source.once('end', () => {
        settle();
        resolve(body.whole);
      });
      decoder?.once('error', ({ message }) =>
        fail(new RequestError('BAD_REQUEST', `the body is not what its Content-Encoding says: ${message}`)),
      );
      request.once('error', brokenOff);
      request.once('close', brokenOff);
      if (request.destroyed) brokenOff();
    });
  }

  /** @returns what ends the watch */
  private watch(body: Body, fail: (error: RequestError) => void): () => void {
    const { uploadTimeoutMs } = this.options;
    const started = performance.now();
    const timer = setInterval(
      () => {
        const ms = performance.now() - started;
        if (ms >= uploadTimeoutMs) return fail(tooSlow(`took more than ${uploadTimeoutMs / 1000} s`));
        const isSlow = ms >= GRACE_MS && body.received < (MIN_BYTES_PER_SECOND * ms) / 1000;
        return isSlow && fail(tooSlow(`came at less than ${MIN_BYTES_PER_SECOND} bytes a second`));
      },
      Math.min(CHECK_MS, uploadTimeoutMs),
    );
    return () => clearInterval(timer);
  }
}

/** One block that chunks are copied into: a body in chunks of a byte takes no more than in one. */
class Body {
  /** As sent. */
  received = 0;
  /** Decompressed. */
  private size = 0;
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

  receive(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.received > this.limit) throw this.tooLarge();
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

/** By a parser of the application that these routes are mounted in; such as `express.raw` leaves the bytes. */
function readBefore({ body }: Request, limit: number, tooLarge: () => RequestError): Buffer {
  if (!Buffer.isBuffer(body)) {
    throw new Error('the body was read before it came here; mount classifierRouter before parsers of bodies');
  }
  if (body.length > limit) throw tooLarge();
  return body;
}

function tooSlow(how: string): RequestError {
  return new RequestError(
    'UPLOAD_TIMEOUT',
    `the body ${how}; send it faster, or start the server with a longer ${bothNames('uploadTimeoutMs', 'upload-timeout')}`,
  );
}
