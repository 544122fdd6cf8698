/**
 * `npm run bench -- train`: training rates side by side with PyTorch, in turn, as medians of ratios. Peers are looked
 * for in ../shared/peers (or ALEXNET_PEERS) and need python3-torch (ALEXNET_PYTHON, default /usr/bin/python3).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { largePages } from './large-pages.js';
import { median } from './median.js';

const run = promisify(execFile);
const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PEERS = process.env.ALEXNET_PEERS ?? fileURLToPath(new URL('../../../../shared/peers', import.meta.url));
const CIFAR_PEER = fileURLToPath(new URL('../../../test/bench/torch_cifar.py', import.meta.url));

interface Rate {
  images_per_s_median: number;
  resident_gb?: number;
  first_step_s?: number;
  share_of_matmul_peak?: number;
}

/** What is compared: ours and the peer's command, each printing one line of JSON. */
interface Comparison {
  title: string;
  ours: string[];
  peer: string[];
  peerFile: string;
}

const rateScript = fileURLToPath(new URL('./training-rate.js', import.meta.url));
const COMPARISONS: Comparison[] = [
  {
    title: 'AlexNet, 1000 classes, batch 128',
    ours: [rateScript, 'alexnet', '1000', '128', '5'],
    peerFile: `${PEERS}/torch_alexnet.py`,
    peer: ['train', '--batch', '128', '--steps', '4'],
  },
  {
    title: 'cifar10-18pct, 10 classes, batch 128',
    ours: [rateScript, 'cifar10-18pct', '10', '128', '40'],
    peerFile: CIFAR_PEER,
    peer: ['--batch', '128', '--steps', '40'],
  },
];

async function measure(file: string, words: string[], extra: object): Promise<Rate> {
  const env = { ...process.env, ...extra };
  const { stdout } = await run(file, words, { env, maxBuffer: 1e7 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Rate;
}

/** @param peerLargePages  give PyTorch large pages too, which it does not ask for by itself */
export async function train(rounds: number, peerLargePages: boolean): Promise<void> {
  console.log(
    `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; ${rounds} rounds in turn; onnxruntime in large pages, PyTorch ${peerLargePages ? 'too' : 'by default'}\n`,
  );
  for (const { title, ours, peer, peerFile } of COMPARISONS) {
    if (!existsSync(PYTHON) || !existsSync(peerFile)) {
      console.log(`${title}: skipped, needs ${PYTHON} with torch and ${peerFile}`);
      continue;
    }
    const [mine, theirs, memory, first, share]: number[][] = [[], [], [], [], []];
    for (let round = 0; round < rounds; round++) {
      const own = await measure(process.execPath, ours, largePages);
      mine.push(own.images_per_s_median);
      memory.push(own.resident_gb!);
      first.push(own.first_step_s!);
      share.push(own.share_of_matmul_peak!);
      theirs.push((await measure(PYTHON, [peerFile, ...peer], peerLargePages ? largePages : {})).images_per_s_median);
    }
    const ratios = mine.map((rate, round) => rate / theirs[round]);
    console.log(
      `${title}: onnxruntime backend ${median(mine).toFixed(1)} images/s, PyTorch ${median(theirs).toFixed(1)}; ` +
        `median ratio ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}); ` +
        `${(100 * median(share)).toFixed(0)} % of the rate of a large matrix product; first step ${median(first).toFixed(1)} s, peak resident memory ${Math.max(...memory).toFixed(1)} GB`,
    );
  }
}
