/**
 * Load on one server of this machine: clients that post image after image and wait as Retry-After tells them or up to
 * twice that, and one that asks for its health meanwhile.
 */
import { Agent, request } from 'node:http';

export interface LoadOptions {
  url: string;
  path: string;
  /** Path of the health check. */
  live: string;
  images: readonly Buffer[];
  clients: number;
  seconds: number;
  /** It runs until this is done, too. */
  during?: Promise<unknown>;
}

/** Times in milliseconds. */
export interface Load {
  /** Answers with status 200 a second. */
  rate: number;
  answers: number;
  /** Other answers by status; 0 for connections that broke. */
  errors: number;
  statuses: Map<number, number>;
  latencies: number[];
  /** Of answers that are not 200. */
  refusals: number[];
  live: number[];
}

const LIVE_EVERY_MS = 50;

export async function load({ url, path, live, images, clients, seconds, during }: LoadOptions): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients + 1 });
  const result: Load = { rate: 0, answers: 0, errors: 0, statuses: new Map(), latencies: [], refusals: [], live: [] };
  const started = performance.now();
  let isDone = during === undefined;
  const done = () => {
    isDone = true;
  };
  during?.then(done, done);
  const isOver = () => isDone && performance.now() - started > seconds * 1000;
  let next = 0;
  const client = async () => {
    while (!isOver()) {
      const { status, ms, retryAfterS } = await exchange(url + path, agent, images[next++ % images.length]);
      result.statuses.set(status, (result.statuses.get(status) ?? 0) + 1);
      if (status === 200) {
        result.answers += 1;
        result.latencies.push(ms);
      } else {
        result.errors += 1;
        result.refusals.push(ms);
        await new Promise((resolve) => setTimeout(resolve, retryAfterS * 1000 * (1 + (next % 16) / 16)));
      }
    }
  };
  const health = async () => {
    while (!isOver()) {
      result.live.push((await exchange(url + live, agent)).ms);
      await new Promise((resolve) => setTimeout(resolve, LIVE_EVERY_MS));
    }
  };
  await Promise.all([health(), ...Array.from({ length: clients }, client)]);
  result.rate = result.answers / ((performance.now() - started) / 1000);
  agent.destroy();
  return result;
}

interface Exchange {
  status: number;
  ms: number;
  /** As the answer says; 0 if it does not. */
  retryAfterS: number;
}

function exchange(url: string, agent: Agent, body?: Buffer): Promise<Exchange> {
  const started = performance.now();
  const headers = body ? { 'content-type': 'image/jpeg', 'content-length': body.length } : {};
  return new Promise((resolve) => {
    const done = (status: number, retryAfter = '0') =>
      resolve({ status, ms: performance.now() - started, retryAfterS: Number(retryAfter) });
    const sent = request(url, { method: body ? 'POST' : 'GET', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode ?? 0, response.headers['retry-after']));
      response.on('error', () => done(0));
    });
    sent.on('error', () => done(0));
    sent.end(body);
  });
}

/** @param share  0 … 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
