/**
 * `npm run bench -- data`: how fast photographs become a prepared set, next to PIL doing the same on one core, and for
 * what share of its time a training step waits for data. Photographs are those of ../shared/data/imagenet-samples.tar
 * (or ALEXNET_DATA), several times over.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentProgress } from '../../base/progress.js';
import { prepare } from '../../cli/prepare.js';
import { median } from './median.js';
import { IMAGES, photographFolder } from './photographs.js';
import { stall } from './stall.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PIL = fileURLToPath(new URL('../../../test/bench/pil_prepare.py', import.meta.url));

export async function data(rounds: number, steps: number): Promise<void> {
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
  const root = mkdtempSync(join(tmpdir(), 'alexnet-data-'));
  try {
    const folder = join(root, 'pictures');
    const images = await photographFolder(folder);
    const cores = availableParallelism();
    console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; ${images} JPEG photographs`);
    const [ours, pil]: [number[], number[]] = [[], []];
    const pack = join(root, 'pack');
    for (let round = 0; round < rounds; round++) {
      const made = await prepare({ data: folder, out: pack, imagePx: 256, force: true }, silentProgress);
      ours.push(made.imagesPerSecond / cores);
      if (existsSync(PYTHON)) {
        const printed = execFileSync(PYTHON, [PIL, folder], { encoding: 'utf8' });
        pil.push(JSON.parse(printed.trim().split('\n').at(-1)!).pictures_per_s);
      }
    }
    const against =
      pil.length > 0
        ? `; PIL ${median(pil).toFixed(0)} on one core, median ratio ${median(ours.map((rate, i) => rate / pil[i])).toFixed(2)}`
        : '';
    console.log(
      `alexnet prepare: ${median(ours).toFixed(0)} images/s a core, ${(median(ours) * cores).toFixed(0)} in all${against}`,
    );
    await stall(folder, pack, steps);
  } finally {
    rmSync(root, { recursive: true });
  }
}
