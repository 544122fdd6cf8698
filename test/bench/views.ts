/**
 * `npm run bench -- views`: what classification with ten-crop AlexNet costs while occlusion maps are computed without a
 * break, compared with the same without, in turn. Images are the photographs in ../shared/data/imagenet-samples.tar (or
 * ALEXNET_DATA).
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, percentile } from './http-load.js';
import { median } from './median.js';
import { IMAGES, photographs } from './photographs.js';
import { memoryOf } from './process-tree.js';
import { startServer } from './start-server.js';

const FILES = fileURLToPath(new URL('./alexnet-files.js', import.meta.url));
const CLIENTS = 2;

/** @param seconds  of load in every turn */
export async function views(rounds: number, seconds: number): Promise<void> {
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-bench-'));
  const children: ChildProcess[] = [];
  try {
    const machine = `${cpus().length} × ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}, Node ${process.versions.node}`;
    console.log(
      `${machine}; AlexNet, 1000 classes, ten crops; ${CLIENTS} clients, ${rounds} rounds of ${seconds} s in turn`,
    );
    execFileSync(process.execPath, [FILES, folder], { stdio: 'inherit' });
    const images = await photographs();
    const server = await startServer(join(folder, 'image.onnx'), CLIENTS, children);
    const turn = () =>
      load({ url: server.url, path: '/classify', live: '/v2/health/live', images, clients: CLIENTS, seconds });
    await turn(); // the first images are the slowest
    const alone = memoryOf(server.process.pid!).now;
    const p95: Record<'without' | 'with', number[]> = { without: [], with: [] };
    let places = 0;
    for (let round = 0; round < rounds; round++) {
      p95.without.push(percentile((await turn()).latencies, 0.95));
      const leaving = new AbortController();
      const looking = look(server.url, images[round], leaving.signal);
      p95.with.push(percentile((await turn()).latencies, 0.95));
      leaving.abort();
      places += await looking;
    }
    const { now } = memoryOf(server.process.pid!);
    const ratios = p95.with.map((value, i) => value / p95.without[i]);
    console.log(`p95 ${median(p95.without).toFixed(0)} ms without, ${median(p95.with).toFixed(0)} ms with maps`);
    console.log(
      `with / without: median ${median(ratios).toFixed(2)} (${ratios.map((one) => one.toFixed(2)).join(', ')})`,
    );
    console.log(`${(places / rounds / seconds).toFixed(1)} places of maps a second meanwhile`);
    console.log(`resident ${alone.toFixed(0)} MB without, ${now.toFixed(0)} MB with the process for views`);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Map after map until `signal`. @returns places computed */
async function look(url: string, image: Buffer, signal: AbortSignal): Promise<number> {
  let places = 0;
  try {
    for (;;) {
      const body = new Uint8Array(image);
      const response = await fetch(`${url}/explain/occlusion?stride=8`, { method: 'POST', body, signal });
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        places += 8 * (chunk.match(/"progress"/g)?.length ?? 0);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return places;
  }
}
