/**
 * `npm run bench -- replicas`: ten-crop AlexNet from two servers of one thread each behind nginx, with and without a
 * rolling restart meanwhile, compared with one server with two inference processes of one thread each, without nginx,
 * in turn. Images as for `serve`.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasNginx, startNginx } from '../deploy/nginx.js';
import { Replicas } from '../deploy/replicas.js';
import { type Load, load, percentile } from './http-load.js';
import { median } from './median.js';
import { IMAGES, photographs } from './photographs.js';
import { startServer } from './start-server.js';

const SERVERS = 2;
const CLIENTS = 4;

/** @param seconds  of load in every turn; the one with restarts runs until they are done */
export async function replicas(rounds: number, seconds: number): Promise<void> {
  if (!hasNginx) return console.log('skipped: needs nginx (Debian: apt-get install nginx-light)');
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-bench-'));
  const children: ChildProcess[] = [];
  try {
    console.log(
      `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; AlexNet, 1000 classes, ten crops; ${CLIENTS} clients, ${rounds} rounds of ${seconds} s in turn`,
    );
    execFileSync(process.execPath, [fileURLToPath(new URL('./alexnet-files.js', import.meta.url)), folder]);
    const file = join(folder, 'image.onnx');
    const images = await photographs();
    const one = await startServer(file, CLIENTS, children, '--replicas', String(SERVERS), '--threads', '1');
    const many = new Replicas(file, children);
    await many.start(SERVERS);
    const balanced = await startNginx(folder, many.ports, children);
    const turn = (url: string, during?: Promise<unknown>) =>
      load({ url, path: '/classify', live: '/v2/health/ready', images, clients: CLIENTS, seconds, during });
    const [alone, behind, restarted]: Load[][] = [[], [], []];
    const codes: (number | string)[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push(await turn(one.url));
      behind.push(await turn(balanced));
      const restarts = many.restart();
      restarted.push(await turn(balanced, restarts));
      codes.push(...(await restarts));
    }
    report('one server', alone);
    report(`${SERVERS} servers behind nginx`, behind);
    report('the same while restarted one after another', restarted);
    console.log(`restarts ${codes.length}, exit codes ${[...new Set(codes)].join(', ')}`);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Latencies of all rounds together. */
function report(name: string, loads: Load[]): void {
  const latencies = loads.flatMap((one) => one.latencies);
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(latencies, share).toFixed(0));
  const sum = (key: 'answers' | 'errors') => loads.reduce((total, one) => total + one[key], 0);
  console.log(
    `${name}: ${median(loads.map(({ rate }) => rate)).toFixed(1)} images/s, p50 ${p50} ms, p95 ${p95} ms, p99 ${p99} ms; ` +
      `answered ${sum('answers')}, lost ${sum('errors')}`,
  );
}
