/**
 * `npm run bench -- serve`: ten-crop AlexNet over HTTP compared with the server that one would write first
 * (../shared/peers/plain_server.mjs, or ALEXNET_PEERS), with bare `session.run` in one process and with the rate of large
 * matrix products, in float32 and int8, in turn, as medians of ratios. Images are the photographs in ../shared/data/imagenet-samples.tar (or ALEXNET_DATA).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../deploy/free-port.js';
import { bareRate } from './bare-rate.js';
import { type Load, load, percentile } from './http-load.js';
import { median } from './median.js';
import { IMAGES, photographs } from './photographs.js';
import { memoryOf } from './process-tree.js';
import { startServer } from './start-server.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const ROOT = at('../../..');
const PEER = join(process.env.ALEXNET_PEERS ?? at('../../../../shared/peers'), 'plain_server.mjs');
const CLIENTS = 8;
/** Most of whom are refused. */
const MANY_CLIENTS = 64;
/** Until a server has its helpers. */
export const WARM_UP_S = 6;

/** What was measured, by round. */
interface Turns {
  our: Load[];
  int8: Load[];
  their: Load[];
  /** Images a second of `session.run` alone. */
  bare: number[];
  bareInt8: number[];
  /** GFLOP/s of large matrix products. */
  product: number[];
}

/** @param seconds  of load in every turn */
export async function serve(rounds: number, seconds: number): Promise<void> {
  for (const needed of [PEER, IMAGES]) {
    if (!existsSync(needed)) return console.log(`skipped: needs ${needed}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-bench-'));
  const children: ChildProcess[] = [];
  try {
    console.log(
      `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; AlexNet, 1000 classes, ten crops; ${CLIENTS} clients, ${rounds} rounds of ${seconds} s in turn`,
    );
    execFileSync(process.execPath, [at('./alexnet-files.js'), folder, '1', 'int8'], { stdio: 'inherit' });
    const images = await photographs();
    const [file, int8File] = ['image.onnx', 'int8.onnx'].map((name) => join(folder, name));
    const ours = await startServer(file, CLIENTS, children);
    const int8 = await startServer(int8File, CLIENTS, children);
    const peer = await startPeer(join(folder, 'tensor.onnx'), children);
    const shared = { path: '/classify', live: '/v2/health/live', images, clients: CLIENTS, seconds };
    const turns: Turns = { our: [], int8: [], their: [], bare: [], bareInt8: [], product: [] };
    const warmUp = (url: string) => load({ ...shared, url, seconds: WARM_UP_S });
    let gflop = 0;
    const first = await warmUp(ours.url);
    await warmUp(int8.url);
    for (let round = 0; round < rounds; round++) {
      turns.our.push(await load({ ...shared, url: ours.url }));
      turns.int8.push(await load({ ...shared, url: int8.url }));
      turns.their.push(await load({ ...shared, url: peer, live: '/health' }));
      turns.bare.push(bareRate(file, seconds));
      turns.bareInt8.push(bareRate(int8File, seconds));
      const work = JSON.parse(execFileSync(process.execPath, [at('./alexnet-work.js')], { encoding: 'utf8' }));
      turns.product.push(work.rate);
      gflop = work.image;
    }
    reportTurns(turns, gflop);
    const over = await load({ ...shared, url: ours.url, clients: MANY_CLIENTS });
    const refusals = `p50 ${percentile(over.refusals, 0.5).toFixed(0)} ms, p99 ${percentile(over.refusals, 0.99).toFixed(0)} ms`;
    console.log(`${MANY_CLIENTS} clients: ${over.rate.toFixed(1)} images/s, ${over.errors} refused, ${refusals}`);
    const megabytes = statSync(file).size / 1e6;
    const { now, peak } = memoryOf(ours.process.pid!);
    console.log(
      `ready after ${ours.readyS.toFixed(2)} s with ${megabytes.toFixed(1)} MB; resident ${now.toFixed(0)} MB in all after the load (${(now / megabytes).toFixed(2)} times the file), at most ${peak.toFixed(0)} MB`,
    );
    const answered = [first, ...turns.our, over].reduce((sum, { answers }) => sum + answers, 0);
    const text = await (await fetch(`${ours.url}/metrics`)).text();
    const counted = Number(/^nv_inference_request_success\{.*\} (\d+)$/m.exec(text)?.[1]);
    console.log(`answers counted by the clients ${answered}, by nv_inference_request_success ${counted}`);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

function reportTurns({ our, int8, their, bare, bareInt8, product }: Turns, gflop: number): void {
  report('this server', our);
  report('this server, int8', int8);
  report('plain server', their);
  const alone = `session.run alone: ${median(bare).toFixed(1)} images/s, int8 ${median(bareInt8).toFixed(1)}`;
  console.log(`${alone}; matrix products: ${median(product).toFixed(0)} GFLOP/s`);
  const [ours, inInt8, theirs] = [our, int8, their].map((all) => all.map(({ rate }) => rate));
  const work = (rates: number[]) => rates.map((rate) => rate * gflop);
  ratio('this server / plain server', ours, theirs);
  ratio('this server / session.run alone', ours, bare);
  ratio('this server, int8 / float32', inInt8, ours);
  ratio('this server, int8 / session.run alone', inInt8, bareInt8);
  ratio(`session.run alone, ${gflop.toFixed(1)} GFLOP an image / matrix products`, work(bare), product);
  ratio('the same in int8 / matrix products in float32', work(bareInt8), product);
}

function report(name: string, loads: Load[]): void {
  const of = (share: number, key: 'latencies' | 'live') => median(loads.map((one) => percentile(one[key], share)));
  const errors = loads.reduce((sum, one) => sum + one.errors, 0);
  console.log(
    `${name}: ${median(loads.map(({ rate }) => rate)).toFixed(1)} images/s, p50 ${of(0.5, 'latencies').toFixed(0)} ms, p99 ${of(0.99, 'latencies').toFixed(0)} ms; ` +
      `health check meanwhile p50 ${of(0.5, 'live').toFixed(1)} ms, p99 ${of(0.99, 'live').toFixed(1)} ms; errors ${errors}`,
  );
}

function ratio(name: string, a: number[], b: number[]): void {
  const ratios = a.map((value, i) => value / b[i]);
  console.log(`${name}: median ${median(ratios).toFixed(2)} (${ratios.map((one) => one.toFixed(2)).join(', ')})`);
}

async function startPeer(file: string, children: ChildProcess[]): Promise<string> {
  const port = await freePort();
  const child = spawn(process.execPath, [PEER, file, String(port)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout!, 'data');
  return `http://127.0.0.1:${port}`;
}
