/**
 * `npm run bench -- train`: training rates side by side with PyTorch, in turn, as medians of ratios: as both come (ours
 * keeps its memory, as `alexnet train` does), and with memory kept by PyTorch too. Peers are looked for in
 * ../shared/peers (or ALEXNET_PEERS): PyTorch 1.13 as python3-torch (ALEXNET_PYTHON, default /usr/bin/python3), 2.6
 * where torch26.sh put it. Last, for what share of its time a step of AlexNet waits for data.
 */
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { median } from './median.js';
import { stallOfPhotographs } from './stall.js';
import { findPeers, KEPT, measure, type Peer, type Rate } from './torch-peers.js';

const rateScript = fileURLToPath(new URL('./training-rate.js', import.meta.url));

/** Networks, images a step, and steps of ours and of a peer. */
const COMPARISONS = [
  { network: 'alexnet', classes: 1000, batch: 128, steps: 5, peerSteps: 4 },
  { network: 'alexnet', classes: 1000, batch: 32, steps: 8, peerSteps: 8 },
  { network: 'cifar10-18pct', classes: 10, batch: 128, steps: 40, peerSteps: 40 },
  { network: 'cifar10-11pct', classes: 10, batch: 128, steps: 40, peerSteps: 40 },
];
/** Of each form of data. */
const STALL_STEPS = 5;
type Comparison = (typeof COMPARISONS)[number];

/**
 * @param rounds   of every comparison, fewer where time runs out
 * @param minutes  after which no round is started
 * @param network  alone, if given
 */
export async function train(rounds: number, minutes: number, network?: string): Promise<void> {
  const peers = await findPeers();
  console.log(
    `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}, load ${loadavg()[0].toFixed(1)}; ` +
      `in turn with ${peers.length > 0 ? [...new Set(peers.map(({ name }) => name))].join(', ') : 'no PyTorch found'}`,
  );
  const chosen = COMPARISONS.filter((comparison) => network === undefined || comparison.network === network);
  const end = Date.now() + minutes * 60_000;
  for (const [i, comparison] of chosen.entries()) {
    const share = Date.now() + (end - Date.now()) / (chosen.length - i);
    await compare(comparison, peers, rounds, share);
  }
  if (network !== undefined && network !== 'alexnet') return;
  console.log();
  await stallOfPhotographs(STALL_STEPS);
}

interface Measured {
  title: string;
  rates: number[];
  ratios: number[];
}

async function compare(comparison: Comparison, peers: readonly Peer[], rounds: number, end: number): Promise<void> {
  const { network, classes, batch, steps } = comparison;
  const ours: Rate[] = [];
  const theirs = peers.flatMap((peer) =>
    (['as it comes', 'memory kept'] as const).map((memory) => ({
      peer,
      memory,
      rates: [] as number[],
      ratios: [] as number[],
    })),
  );
  for (let round = 0; round < rounds && (round === 0 || Date.now() < end); round++) {
    const words = [rateScript, network, String(classes), String(batch), String(steps)];
    const own = await measure(process.execPath, words);
    ours.push(own);
    for (const { peer, memory, rates, ratios } of theirs) {
      const { command, words } = peer.of(network, batch, comparison.peerSteps);
      const { images_per_s_median: rate } = await measure(command, words, memory === 'memory kept' ? KEPT : {});
      rates.push(rate);
      ratios.push(own.images_per_s_median / rate);
    }
  }
  printOurs(comparison, ours);
  print(theirs.map(({ peer, memory, ...measured }) => ({ title: `${peer.name}, ${memory}`, ...measured })));
}

function printOurs({ network, batch }: Comparison, ours: readonly Rate[]): void {
  const of = (key: keyof Rate) => median(ours.map((rate) => rate[key]!));
  const [first, step] = [of('first_step_s'), batch / of('images_per_s_median')];
  console.log(
    `\n${network}, batch ${batch}: ${of('images_per_s_median').toFixed(1)} images/s (median of ${ours.length}), ` +
      `${(100 * of('share_of_matmul_peak')).toFixed(0)} % of the rate of a large matrix product; ` +
      `first step ${first.toFixed(1)} s, ${(first - step).toFixed(1)} s more than another; peak resident memory ${of('resident_gb').toFixed(1)} GB`,
  );
}

function print(measured: readonly Measured[]): void {
  for (const { title, rates, ratios } of measured)
    console.log(
      `  ${title.padEnd(44)}${median(rates).toFixed(1).padStart(8)} images/s, ours ${median(ratios).toFixed(2)} times ` +
        `(${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`,
    );
}
