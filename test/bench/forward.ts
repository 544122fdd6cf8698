/**
 * `npm run bench -- forward`: forward passes of cifar10-18pct on the onnxruntime backend and on tfjs's own, in turn.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from './median.js';

const BATCH = 128;
/** Passes measured a round: the plain JavaScript backend needs seconds for one. */
const PASSES: Record<string, number> = { onnxruntime: 40, cpu: 2, wasm: 10 };

export function forward(rounds: number): void {
  const script = fileURLToPath(new URL('./forward-rate.js', import.meta.url));
  const rates = Object.fromEntries(Object.keys(PASSES).map((backend) => [backend, [] as number[]]));
  for (let round = 0; round < rounds; round++)
    for (const [backend, passes] of Object.entries(PASSES)) {
      const words = [script, 'cifar10-18pct', String(BATCH), String(passes), backend];
      const printed = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      rates[backend].push(
        (JSON.parse(printed.trim().split('\n').at(-1)!) as { images_per_s_median: number }).images_per_s_median,
      );
    }
  console.log(`cifar10-18pct forward, batch ${BATCH}, ${rounds} rounds in turn`);
  for (const [backend, measured] of Object.entries(rates)) {
    const ratio = median(rates.onnxruntime.map((rate, round) => rate / measured[round]));
    console.log(
      `${backend.padEnd(12)} ${median(measured).toFixed(0).padStart(6)} images/s; onnxruntime is ${ratio.toFixed(1)} times as fast`,
    );
  }
}
