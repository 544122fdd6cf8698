/**
 * `npm run bench -- distributed`: AlexNet's step in two processes of one core each, and what `--dry-run --ranks 2`
 * estimates for it.
 */
import { fileURLToPath } from 'node:url';
import { launch, launchers } from '../train/distributed/launchers.js';
import type { RankRound } from './distributed-rank.js';
import { median } from './median.js';

const RANK = fileURLToPath(new URL('./distributed-rank.js', import.meta.url));

/** @param batch  images of both processes together */
export async function distributed(rounds: number, batch: number): Promise<void> {
  const [openMpi] = launchers;
  if (openMpi.skip) throw new Error(openMpi.skip);
  // A core a process stands for a machine a process.
  const words = openMpi.words.map((word) => (word === 'none' ? 'core' : word));
  const job = { size: 2, words: [RANK, String(rounds), String(batch)] };
  const { code, stdout, stderr } = await launch({ ...openMpi, words }, [job]);
  if (code !== 0) throw new Error(stderr);
  const results = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RankRound);
  for (const compressed of [false, true]) {
    const own = results.filter((round) => round.compressed === compressed);
    const of = (value: (round: RankRound) => number) => median(own.map(value));
    const ms = (value: (round: RankRound) => number) => `${(1000 * of(value)).toFixed(0)} ms`;
    console.log(
      `${compressed ? 'float16' : 'float32'} gradients, ${(own[0].bytes / 1e6).toFixed(0)} MB: a step of one process alone ${ms((r) => r.computing)}, ` +
        `of two ${ms((r) => r.together)}, estimated ${ms((r) => r.estimated)}; estimated / measured: median ${of((r) => r.estimated / r.together).toFixed(2)} ` +
        `(${own.map((r) => (r.estimated / r.together).toFixed(2)).join(', ')})`,
    );
  }
  const speed = median(results.map(({ bytesPerSecond }) => bytesPerSecond));
  console.log(`an all-reduce of 244 MB between the two: ${((speed * 8) / 1e9).toFixed(1)} Gb/s`);
}
