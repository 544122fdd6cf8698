/** Memory that really runs out, under a limit of the shell's. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { alexnet } from '../real/command.js';
import { plainPng } from './data/tiny-images.js';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const options = { skip: process.platform === 'linux' ? false : 'needs ulimit -v' };

describe('a command whose memory runs out', options, () => {
  let folder: string;
  let data: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-memory-'));
    data = join(folder, 'data');
    for (const path of ['train/cat', 'train/dog', 'val/cat', 'val/dog']) {
      await mkdir(join(data, path), { recursive: true });
      for (let i = 0; i < 64; i++) await writeFile(join(data, path, `${i}.png`), await plainPng(i, 100, 200));
    }
  });
  after(() => rm(folder, { recursive: true }));

  /** Address space, in kB. */
  const limited = (limit: number, ...words: string[]) =>
    new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const command = ['-c', `ulimit -v ${limit}; exec "$@"`, 'sh', process.execPath, CLI, ...words];
      const child = execFile('sh', command, (_, _stdout, stderr) => resolve({ code: child.exitCode, stderr }));
    });

  it('says how much was needed, how much is free and what takes less', async () => {
    const run = join(folder, 'run');
    const words = ['train', '--data', data, '--model', 'alexnet', '--backend', 'onnxruntime', '--epochs', '1'];
    const trained = await limited(3_000_000, ...words, '--out', run);
    assert.equal(trained.code, 1, trained.stderr);
    assert.match(
      trained.stderr,
      /alexnet train: training stops after step 0: out of memory: this computation needs up to \d+\.\d\d GB; .* free .*: alexnet train --resume --out \S+ --force --micro-batch 32\n$/,
    );
    const resumed = await alexnet('train', '--resume', '--out', run, '--force', '--micro-batch', '32');
    assert.equal(resumed.code, 0, resumed.stderr);

    const file = join(folder, 'a.onnx');
    for (const [limit, ...more] of [
      [2_000_000, 'export', '--run', run, '--out', file],
      [2_100_000, 'evaluate', '--run', run, '--split', 'val', '--batch', '128'],
    ] as const) {
      const { code, stderr } = await limited(limit, ...more);
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`alexnet ${more[0]}: (out of )?memory[:;]`));
      assert.doesNotMatch(stderr, /bug in alexnet/);
    }
  });
});
