import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Launcher, launchers } from './launchers.js';

const run = promisify(execFile);
const COLLECTIVES = fileURLToPath(new URL('./collectives.js', import.meta.url));

interface Printed {
  rank: number;
  size: number;
  library: string;
  values: number[];
  short: number[];
  bytes: number[];
  gathered: number[][];
  exchanged: number[];
}

async function ranks({ command, words }: Launcher, size: number): Promise<Printed[]> {
  const { stdout } = await run(command, [...words, '-np', String(size), process.execPath, COLLECTIVES]);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Printed);
  return lines.sort((a, b) => a.rank - b.rank);
}

for (const launcher of launchers) {
  test(`sums, sends and gathers between processes of ${launcher.library}`, { skip: launcher.skip }, async () => {
    const printed = await ranks(launcher, 3);
    assert.deepEqual(
      printed.map(({ rank, size }) => [rank, size]),
      [
        [0, 3],
        [1, 3],
        [2, 3],
      ],
    );
    for (const { rank, library, values, short, bytes, gathered, exchanged } of printed) {
      assert.ok(library.startsWith(launcher.library), library);
      // Σ over ranks of (i mod 11) + rank; 300,006 mod 11 is 3.
      assert.deepEqual(values, [3, 33, 12]);
      assert.deepEqual(short, [3, 3]);
      assert.deepEqual(bytes, [5, 2, 0]);
      assert.deepEqual(gathered, [
        [0, 7],
        [1, 7],
        [2, 7],
      ]);
      assert.deepEqual(exchanged, [0, rank, 1, rank, 2, rank]);
    }
  });
}

test('is a job of one process without a launcher', { skip: launchers[0].skip }, async () => {
  const { stdout } = await run(process.execPath, [COLLECTIVES]);
  const { rank, size, short } = JSON.parse(stdout) as Printed;
  assert.deepEqual([rank, size, short], [0, 1, [0, 1]]);
});

test('says what to install if there is no library', async () => {
  const missing = run(process.execPath, [COLLECTIVES], { env: { ...process.env, ALEXNET_MPI: 'libnone.so.1' } });
  await assert.rejects(missing, /no MPI library found: libnone\.so\.1 .*install Open MPI or MPICH/);
});
