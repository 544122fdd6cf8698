import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockRun } from '../../train/run/run-lock.js';
import { alexnet } from '../real/command.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-lock-'));
after(() => rmSync(root, { recursive: true }));

test('refuses a run that a living process has, and says which; takes over from a dead one', async () => {
  const run = join(root, 'run');
  const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
  after(() => other.kill('SIGKILL'));
  const unlock = await lockRun(run);
  assert.equal(JSON.parse(readFileSync(join(run, 'lock'), 'utf8')).pid, process.pid);
  await unlock();
  assert.ok(!existsSync(run)); // nothing else was in it
  mkdirSync(run);
  writeFileSync(join(run, 'lock'), JSON.stringify({ pid: other.pid, host: hostname() }));
  await assert.rejects(lockRun(run), new RegExp(`in use by process ${other.pid}; wait until it ends`));
  const words = ['--data', root, '--model', 'cifar10-quick', '--out', run];
  const { code, stderr } = await alexnet('train', ...words);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`in use by process ${other.pid}`));
  assert.ok(existsSync(join(run, 'lock'))); // not ours to remove
  other.kill('SIGKILL');
  await once(other, 'exit');
  await (await lockRun(run))();
  assert.ok(!existsSync(join(run, 'lock')));
});

test('leaves a run of another machine alone, and takes over a lock that was cut short', async () => {
  const run = join(root, 'elsewhere');
  mkdirSync(run);
  writeFileSync(join(run, 'lock'), JSON.stringify({ pid: 1, host: 'another-machine' }));
  await assert.rejects(lockRun(run), /in use by process 1 on another-machine; .* remove .*lock/);
  writeFileSync(join(run, 'lock'), '{"pid":');
  await (await lockRun(run))();
});

test('takes over from a process whose number another has by now', { skip: process.platform !== 'linux' }, async () => {
  const run = join(root, 'reused');
  const unlock = await lockRun(run);
  const own = JSON.parse(readFileSync(join(run, 'lock'), 'utf8'));
  await unlock();
  mkdirSync(run);
  writeFileSync(join(run, 'lock'), JSON.stringify({ ...own, pid: process.ppid })); // alive, and started at another time
  const again = await lockRun(run);
  const others = JSON.stringify({ ...own, pid: 1, host: 'another-machine' });
  writeFileSync(join(run, 'lock'), others); // as if another had taken it over
  await again();
  assert.equal(readFileSync(join(run, 'lock'), 'utf8'), others);
});

test('a run that ends, well or not, is free again', async () => {
  const run = join(root, 'ended');
  const { code } = await alexnet('train', '--data', join(root, 'nowhere'), '--model', 'cifar10-quick', '--out', run);
  assert.equal(code, 1);
  assert.ok(!existsSync(run)); // nothing was written, nothing is left
});
