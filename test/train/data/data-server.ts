/** An HTTP server of files as an object store is one, with ranges and ETags, that fails as it is told. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** What is asked for, and what would be answered. */
export interface Asked {
  file: Buffer;
  start: number;
  /** Behind the last byte. */
  end: number;
  headers: Record<string, string>;
}

/** Answers in place of the server. */
export type Fault = (response: ServerResponse, asked: Asked) => void;

export interface DataServer {
  url: string;
  /** Path and range of every request. */
  requests: { path: string; start: number; length: number }[];
  /**
   * Answers the next requests for files of this name, one fault each; the last one also those that follow, where
   * `always`.
   */
  fail(name: string, faults: Fault[], always?: boolean): void;
}

export const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  (response) =>
    void response.writeHead(code, headers).end('failed');

/** A body of the length that the header says, of which this comes before the connection breaks. */
export const brokenAfter =
  (bytes: number): Fault =>
  (response, { file, start, headers }) => {
    response.writeHead(206, headers);
    response.write(file.subarray(start, start + bytes), () => response.destroy());
  };

/** Sends these bytes instead, under headers that fit them in length. */
export const sends =
  (change: (bytes: Buffer) => Buffer, more: Record<string, string> = {}): Fault =>
  (response, { file, start, end, headers }) => {
    const bytes = change(Buffer.from(file.subarray(start, end)));
    response.writeHead(206, { ...headers, 'content-length': String(bytes.length), ...more }).end(bytes);
  };

export const answersNothing: Fault = () => undefined;

export async function serveFolder(context: TestContext, folder: string): Promise<DataServer> {
  const requests: DataServer['requests'] = [];
  const faults = new Map<string, { queue: Fault[]; always: boolean }>();
  const nextFault = (name: string): Fault | undefined => {
    const planned = faults.get(name);
    return planned?.always && planned.queue.length === 1 ? planned.queue[0] : planned?.queue.shift();
  };
  const server = createServer(async (request, response) => {
    const path = decodeURI(new URL(request.url!, 'http://host').pathname);
    const file = await readFile(join(folder, path)).catch(() => undefined);
    if (file === undefined) return status(404)(response, undefined as never);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')?.map(Number) ?? [0, 0, file.length];
    const [start, end] = [first, Math.min(last + 1, file.length)];
    requests.push({ path, start, length: end - start });
    const headers = {
      etag: `"${createHash('sha256').update(file).digest('hex').slice(0, 8)}"`,
      'content-range': `bytes ${start}-${end - 1}/${file.length}`,
      'content-length': String(end - start),
    };
    const fault = nextFault(path.split('/').at(-1)!);
    if (fault) fault(response, { file, start, end, headers });
    else response.writeHead(206, headers).end(file.subarray(start, end));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    fail: (name, queue, always = false) => faults.set(name, { queue: [...queue], always }),
  };
}
