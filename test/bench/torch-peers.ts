/** PyTorch's side of `npm run bench -- train`. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PEERS = process.env.ALEXNET_PEERS ?? fileURLToPath(new URL('../../../../shared/peers', import.meta.url));
const TORCH26 = process.env.TORCH26_ROOT ?? '/var/tmp/torch26';
const ALEXNET = `${PEERS}/torch_alexnet.py`;
const CIFAR = fileURLToPath(new URL('../../../test/bench/torch_cifar.py', import.meta.url));
const RUN_MS = 300_000;

/** What makes glibc keep memory, as PyTorch's tuning guide advises of allocators. */
export const KEPT = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '100000000000' };

/** What a measuring process prints. */
export interface Rate {
  images_per_s_median: number;
  resident_gb?: number;
  first_step_s?: number;
  share_of_matmul_peak?: number;
}

export interface Peer {
  name: string;
  of(network: string, batch: number, steps: number): { command: string; words: string[] };
}

/** The last line of a process as JSON. */
export async function measure(command: string, words: string[], environment: object = {}): Promise<Rate> {
  const env = { ...process.env, ...environment };
  const { stdout } = await run(command, words, { env, maxBuffer: 1e7, timeout: RUN_MS });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Rate;
}

/** Those that are installed here: none, PyTorch 1.13, and 2.6 in float32 and bfloat16. */
export async function findPeers(): Promise<Peer[]> {
  const peers: Peer[] = [];
  if (existsSync(PYTHON) && existsSync(ALEXNET) && (await hasTorch()))
    peers.push(peer('PyTorch 1.13', [PYTHON], ALEXNET, CIFAR));
  if (existsSync(`${TORCH26}/usr/bin/python3`) && existsSync(`${PEERS}/torch26.sh`)) {
    await run('bash', [`${PEERS}/torch26.sh`, 'train', '--batch', '2', '--steps', '1'], { timeout: RUN_MS }); // mounts
    copyFileSync(CIFAR, `${TORCH26}/peer/torch_cifar.py`);
    const command = ['chroot', TORCH26, '/usr/bin/python3'];
    const files = ['/peer/torch_alexnet.py', '/peer/torch_cifar.py'] as const;
    peers.push(peer('PyTorch 2.6', command, ...files));
    peers.push(peer('PyTorch 2.6, bfloat16, channels last', command, ...files, ['--bf16', '--channels-last']));
  }
  return peers;
}

/** @param modules  that Python must have */
export async function hasTorch(modules = 'torch'): Promise<boolean> {
  return run(PYTHON, ['-c', `import ${modules}`]).then(
    () => true,
    () => false,
  );
}

function peer(
  name: string,
  [command, ...before]: string[],
  alexnet: string,
  cifar: string,
  flags: string[] = [],
): Peer {
  return {
    name,
    of(network, batch, steps) {
      const script = network === 'alexnet' ? [alexnet, 'train'] : [cifar, '--network', network];
      return { command, words: [...before, ...script, '--batch', String(batch), '--steps', String(steps), ...flags] };
    },
  };
}
