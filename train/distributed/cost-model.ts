/**
 * What a step costs on many machines, from a step of one process alone: when each bucket of gradients was ready, how
 * many bytes it has, and how fast the network is. Buckets travel one after another, while the rest of the backward pass
 * is computed. A ring all-reduce sends every byte 2 (n − 1) / n times through each machine's link (Patarasuk, Yuan
 * 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations"); every one of its 2 (n − 1) rounds
 * waits for a message to arrive.
 */
import { UsageError } from '../../base/errors.js';
import { ALONE, type Communicator } from './communicator.js';

/** Seconds from the start of a step, and bytes. */
export interface ReadyBucket {
  ready: number;
  bytes: number;
}

export interface StepCost {
  /** Seconds that the buckets travel. */
  network: number;
  /** Seconds of those in which nothing is computed. */
  exposed: number;
}

/** One machine to another through Ethernet and MPI. */
const LATENCY_SECONDS = 50e-6;

/**
 * @param buckets         in the order in which they become ready
 * @param bytesPerSecond  of a machine's link, each way
 */
export function stepCost(buckets: readonly ReadyBucket[], ranks: number, bytesPerSecond: number): StepCost {
  let network = 0;
  let free = 0;
  for (const { ready, bytes } of buckets) {
    const seconds = ((2 * (ranks - 1)) / ranks) * (bytes / bytesPerSecond) + 2 * (ranks - 1) * LATENCY_SECONDS;
    network += seconds;
    free = Math.max(free, ready) + seconds;
  }
  return { network, exposed: free - (buckets.at(-1)?.ready ?? 0) };
}

/** One process of several if there is only one: computes its part, sends nothing, and notes what it would have sent. */
export class Rehearsal implements Communicator {
  readonly rank = 0;
  readonly library = 'none';
  readonly abort = ALONE.abort;
  readonly finalize = ALONE.finalize;
  readonly broadcast = ALONE.broadcast;
  private started = 0;
  /** Of the step under way, in order. */
  buckets: ReadyBucket[] = [];

  constructor(readonly size: number) {}

  /** To be called before every step. */
  startStep(): void {
    this.started = performance.now();
    this.buckets = [];
  }

  async allReduceSum(values: Float32Array): Promise<void> {
    this.note(values.byteLength);
  }

  async allToAll(bytes: Uint8Array): Promise<Uint8Array> {
    this.note(bytes.length);
    return bytes;
  }

  async allGather(bytes: Uint8Array): Promise<Uint8Array[]> {
    return new Array(this.size).fill(bytes);
  }

  private note(bytes: number): void {
    this.buckets.push({ ready: (performance.now() - this.started) / 1000, bytes });
  }
}

const UNITS: Record<string, number> = { M: 1e6, G: 1e9, T: 1e12 };

/**
 * Bits a second as networks are sold by, e.g. 25Gb, 100Gb, 800Mb.
 * @returns bytes per second
 * @throws {UsageError} for anything else
 */
export function networkSpeed(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([MGTmgt])b(?:it)?(?:\/s|ps)?$/.exec(text) ?? [];
  const bits = Number(number) * (UNITS[unit?.toUpperCase()] ?? 0);
  if (bits > 0) return bits / 8;
  throw new UsageError(`--network ${text}: expected bits a second of one machine's link, e.g. 25Gb, 100Gb or 800Mb`);
}
