/** What a run outlives: the readers of its output, its terminal, npx; and what makes it save and end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { CLI, start, until } from '../serve/running.js';
import { plainPng, writeFiles } from '../train/data/tiny-images.js';
import { npmProject } from '../train/temporary-project.js';

const POSIX = process.platform === 'win32' ? 'Windows has no such signals' : false;
const needs = (...commands: string[]) =>
  POSIX ||
  (commands.every((name) => spawnSync(name, ['--version']).status === 0) ? false : `needs ${commands.join(', ')}`);
const NOHUP = needs('nohup', 'bash');

/** Without the shell's last command: these tests may run under nohup themselves. */
const { _: __, ...ENV } = process.env;

let red: Buffer;
let blue: Buffer;
before(async () => {
  [red, blue] = await Promise.all([plainPng(200, 0, 0), plainPng(0, 0, 200)]);
});

/** The words of a training that ends when it is told to, and what is known of it on disk. */
async function endless(t: TestContext) {
  const folder = await writeFiles(t, {
    'train/red/1.png': red,
    'train/blue/2.png': blue,
    'val/red/3.png': red,
    'val/blue/4.png': blue,
  });
  const run = join(folder, 'run');
  const words = ['train', '--data', folder, '--model', 'cifar10-quick', '--batch', '2', '--epochs', '100000'];
  const metrics = join(run, 'metrics.csv');
  /** Whole epochs so far: lines after the header. */
  const epochs = () => (existsSync(metrics) ? readFileSync(metrics, 'utf8').trim().split('\n').length - 1 : 0);
  const reach = (more: number, from = epochs()) => until(() => epochs() >= from + more, 60_000);
  const saved = () => JSON.parse(readFileSync(join(run, 'last/model.json'), 'utf8')).alexnet.state.epoch as number;
  return { words: [CLI, ...words, '--backend', 'onnxruntime', '--out', run], run, epochs, reach, saved };
}

describe('alexnet train', { concurrency: 2 }, () => {
  it('keeps running when stdout and stderr have lost their readers, saves on Ctrl-C and exits with 130', async (t) => {
    const { words, reach, epochs, saved } = await endless(t);
    const { process: child, ended } = start(process.execPath, words);
    await reach(1);
    child.stdout!.destroy();
    child.stderr!.destroy();
    await reach(3);
    const before = epochs();
    child.kill('SIGINT');
    assert.equal(await ended, 130);
    assert.ok(saved() >= before);
  });

  it('saves when its terminal sends SIGHUP, as often as it likes, and exits with 129', { skip: POSIX }, async (t) => {
    const { words, run, reach } = await endless(t);
    const { process: child, ended, stderr } = start(process.execPath, words, { env: ENV });
    await reach(1);
    for (let i = 0; i < 3; i++) child.kill('SIGHUP');
    assert.equal(await ended, 129);
    assert.match(stderr(), /^SIGHUP: saving after this step/m);
    assert.match(stderr(), new RegExp(`saved step \\d+; continue with: alexnet train --resume --out ${run}`));
  });

  it('saves and exits with 129 when its terminal is gone', { skip: needs('python3') }, async (t) => {
    const { words, saved } = await endless(t);
    const program = [
      'import os, pty, sys',
      'pid, fd = pty.fork()',
      'if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])',
      "shown = b''",
      "while b'epoch 2/' not in shown: shown += os.read(fd, 4096)",
      'os.close(fd)',
      'print(os.waitpid(pid, 0)[1])',
    ].join('\n');
    const { ended, line } = start('python3', ['-c', program, process.execPath, ...words], { env: ENV });
    assert.equal(Number(await line), 129 << 8); // no signal: Node aborts where it finds its terminal closed
    assert.equal(await ended, 0);
    assert.ok(saved() >= 1);
  });

  it('survives SIGHUP under nohup, until SIGTERM', { skip: NOHUP }, async (t) => {
    const { words, reach } = await endless(t);
    // bash makes way for nohup, and that for Node
    const command = ['-c', 'nohup "$@"', 'bash', process.execPath, ...words];
    const { process: child, ended } = start('bash', command, { env: ENV });
    await reach(1);
    child.kill('SIGHUP');
    await reach(2);
    child.kill('SIGTERM');
    assert.equal(await ended, 143);
  });

  it('saves and ends as by SIGTERM when the npx that started it is ended by it', { skip: POSIX }, async (t) => {
    const { words, reach, run } = await endless(t);
    const options = { env: ENV, cwd: await npmProject(t) };
    const { process: npx, ended, stderr } = start('npx', ['alexnet', ...words.slice(1)], options);
    await reach(1);
    npx.kill('SIGTERM');
    await ended; // once all that write to its stderr have ended
    assert.match(stderr(), new RegExp(`SIGTERM: saving after this step[^]*saved step \\d+; .* --out ${run}`));
  });
});

describe('a command whose stdout has no reader', () => {
  it('ends with 0 and without a word', async () => {
    const { process: child, ended, stderr } = start(process.execPath, [CLI, 'summary']);
    child.stdout!.destroy();
    assert.equal(await ended, 0);
    assert.equal(stderr(), '');
  });

  it('ends with 1 and the reason if a full disk keeps its result', { skip: !existsSync('/dev/full') }, async () => {
    const { ended, stderr } = start('sh', ['-c', '"$@" > /dev/full', 'sh', process.execPath, CLI, 'summary']);
    assert.equal(await ended, 1);
    assert.match(stderr(), /^alexnet: cannot write to stdout: ENOSPC/);
  });
});
