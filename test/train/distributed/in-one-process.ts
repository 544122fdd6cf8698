/** A job whose processes are one, for tests. */
import { ALONE, bytesOf, type Communicator } from '../../../train/distributed/communicator.js';

/** `size` processes in one: each call waits for the others', as MPI's do. */
export function processes(size: number): Communicator[] {
  const calls: { bytes: Uint8Array; resolve: (all: Uint8Array[]) => void }[][] = [];
  const meet = (place: number, rank: number, bytes: Uint8Array) =>
    new Promise<Uint8Array[]>((resolve) => {
      calls[place] ??= [];
      calls[place][rank] = { bytes: bytes.slice(), resolve };
      const met = Object.values(calls[place]);
      if (met.length === size) for (const call of met) call.resolve(met.map((other) => other.bytes));
    });
  return Array.from({ length: size }, (_, rank) => {
    let place = 0;
    return {
      ...ALONE,
      rank,
      size,
      allReduceSum: async (values) => {
        const all = await meet(place++, rank, bytesOf(values));
        values.fill(0);
        for (const other of all) {
          const own = new Float32Array(other.buffer);
          for (let i = 0; i < values.length; i++) values[i] += own[i];
        }
      },
      broadcast: async (bytes) => bytes.set((await meet(place++, rank, bytes))[0]),
      allGather: (bytes) => meet(place++, rank, bytes),
      allToAll: async (bytes) => {
        const part = bytes.length / size;
        const all = await meet(place++, rank, bytes);
        return Buffer.concat(all.map((other) => other.subarray(rank * part, (rank + 1) * part)));
      },
    };
  });
}
