/** Servers under what operators meet, and what is measured of them. */
import { memoryOf } from '../bench/process-tree.js';
import { alexnet, type Running } from './running.js';

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const read = async (response: Promise<Response>) => (await response).arrayBuffer();

export interface Served extends Running {
  url: string;
  pid: number;
}

export async function serve(...words: string[]): Promise<Served> {
  const server = alexnet('serve', '--port', '0', '--provider', 'cpu', ...words);
  return { ...server, url: JSON.parse(await server.line).url, pid: server.process.pid! };
}

export async function counters(url: string): Promise<Map<string, number>> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line && line[0] !== '#');
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** Growth of the process tree's memory from a tenth of the requests to the end, MB. */
export async function growth(server: Served, requests: number, send: (i: number) => Promise<unknown>): Promise<number> {
  const run = async (from: number, to: number) => {
    let next = from;
    const client = async () => {
      while (next < to) await send(next++);
    };
    await Promise.all([1, 2, 3, 4].map(client));
  };
  await run(0, requests / 10);
  const tenth = memoryOf(server.pid).now;
  await run(requests / 10, requests);
  return memoryOf(server.pid).now - tenth;
}

export const LEAK_LIMIT_MB = 50;
