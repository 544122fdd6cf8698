import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { LoadWatch } from '../../serve/hosting/load-watch.js';
import { RequestQueue } from '../../serve/hosting/request-queue.js';
import type { Answer } from '../../serve/inference/messages.js';
import { answerOf } from './answer-of.js';
import { order } from './images.js';
import { obedient, post, result, until } from './running.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-helpers-'));
after(() => rmSync(folder, { recursive: true }));

/** Keeps some images waiting until `isDone`. @returns  processes that answered */
async function loadUntil(url: string, isDone: (pids: Set<number>) => boolean): Promise<Set<number>> {
  const pids = new Set<number>();
  const client = async () => {
    await post(url, order('sleep 40'));
    pids.add(await result(post(url, order('pid'))));
  };
  const started = performance.now();
  while (!isDone(pids)) {
    assert.ok(performance.now() - started < 30_000, `answered by ${[...pids]} only`);
    await Promise.all(Array.from({ length: 6 }, client));
  }
  return pids;
}

async function workers(url: string): Promise<{ least: number; most: number; now: number }> {
  const [{ minWorkers, maxWorkers, workers }] = (await (await fetch(`${url}/models/obedient`)).json()) as {
    minWorkers: number;
    maxWorkers: number;
    workers: unknown[];
  }[];
  return { least: minWorkers, most: maxWorkers, now: workers.length };
}

test('while images wait, processes of fewer threads answer them; an image alone goes to that with all threads', async () => {
  const lines: string[] = [];
  const { url } = await obedient({ replicas: undefined, threads: 2, log: (line) => lines.push(line) });
  const first = await result(post(url, order('pid')));
  assert.deepEqual(await workers(url), { least: 1, most: 3, now: 1 });
  const pids = await loadUntil(url, ({ size }) => size === 3);
  assert.ok(lines.includes('images are waiting: starting 2 helper processes that share 2 threads'), lines.join('\n'));
  assert.deepEqual(await workers(url), { least: 1, most: 3, now: 3 });
  const together = await Promise.all([1, 2, 3, 4].map(async () => (await post(url, order('sleep 20'))).status));
  assert.deepEqual(together, [200, 200, 200, 200]);
  assert.equal(await result(post(url, order('pid'))), first);

  const [helper] = [...pids].filter((pid) => pid !== first);
  process.kill(helper, 'SIGKILL');
  await until(() =>
    lines.some((line) => line.startsWith('no helpers for the next 5 minutes: a helper ended (SIGKILL)')),
  );
  assert.deepEqual(await workers(url), { least: 1, most: 3, now: 1 });
  const after = await Promise.all([1, 2, 3].map(() => result(post(url, order('pid')))));
  assert.deepEqual(after, [first, first, first]);
});

test('nothing helps without memory for it, on one thread, or where the number of processes is given', async () => {
  for (const options of [
    { replicas: undefined, helperMemory: 0 },
    { replicas: undefined, threads: 1 },
    { replicas: 1, threads: 2 },
  ]) {
    const { url } = await obedient(options);
    assert.deepEqual(await workers(url), { least: 1, most: 1, now: 1 }, JSON.stringify(options));
  }
});

test('a file that has changed since it was loaded gets no helpers: they would give other answers', async () => {
  const lines: string[] = [];
  const file = join(folder, 'changing');
  writeFileSync(file, 'before');
  const log = (line: string) => lines.push(line);
  const { url } = await obedient({ files: [file], replicas: undefined, threads: 2, log });
  writeFileSync(file, 'after');
  const pids = await loadUntil(url, () =>
    lines.includes('no helpers for the next 5 minutes: the model has changed on disk'),
  );
  assert.equal(pids.size, 1);
  assert.equal((await workers(url)).now, 1);
});

test('images that wait go to helpers only once all are up, and what a removed helper had is done by others', async () => {
  const queue = new RequestQueue({ maxWaiting: 3, timeoutMs: 10_000 });
  const sent: string[] = [];
  const lane = (process: string, isHelper: boolean) =>
    queue.addLane({ send: ({ id }) => sent.push(`${process}${id}`), kill: () => undefined }, isHelper);
  const [own, ...helpers] = [lane('own ', false), lane('a ', true), lane('b ', true)];
  const answers: Promise<Answer>[] = [];
  const add = () =>
    answers.push(queue.add({ type: 'classify', bytes: Uint8Array.of(1) }, new AbortController().signal));
  own.processReady();
  helpers[0].processReady();
  add();
  add();
  assert.deepEqual(sent.splice(0), ['own 1', 'a 2']);
  assert.equal(queue.room, 2); // 3 that wait, and one at the process that always runs
  helpers[1].processReady();
  own.reply(answerOf(1));
  add();
  assert.deepEqual(sent.splice(0), ['b 3']);
  helpers[0].reply(answerOf(2));
  helpers[1].reply(answerOf(3));
  add();
  assert.deepEqual(sent.splice(0), ['own 4']);
  add();
  add();
  add();
  assert.deepEqual(sent.splice(0), ['a 5', 'b 6', 'a 7']);
  assert.equal(queue.room, 1); // two of them infer at a time
  queue.removeHelpers();
  assert.deepEqual(sent.splice(0), ['own 5', 'own 7']);
  for (const id of [4, 5, 7, 6]) own.reply(answerOf(id));
  assert.deepEqual(sent, ['own 6']);
  assert.equal((await Promise.all(answers)).length, 7);
});

test('an image does not wait behind one that nobody waits for any more', async () => {
  const queue = new RequestQueue({ maxWaiting: 3, timeoutMs: 10_000 });
  const sent: string[] = [];
  const lane = (process: string, isHelper: boolean) =>
    queue.addLane({ send: ({ type, id }) => sent.push(`${process} ${type} ${id}`), kill: () => undefined }, isHelper);
  const lanes = [lane('own', false), lane('a', true), lane('b', true)];
  for (const one of lanes) one.processReady();
  const leaving = new AbortController();
  const left = queue.add({ type: 'classify', bytes: Uint8Array.of(1) }, leaving.signal);
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  const stays = queue.add({ type: 'classify', bytes: Uint8Array.of(2) }, new AbortController().signal);
  assert.deepEqual(sent, ['own classify 1', 'own cancel 1', 'a classify 2']);
  for (const one of lanes) one.processDied(); // or their clocks keep this process
  queue.removeHelpers();
  lanes[0].processReady();
  lanes[0].processDied();
  await assert.rejects(stays, { code: 'INFERENCE_FAILED' });
});

test('load is images that wait for two seconds, its end five minutes without', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  after(() => mock.timers.reset());
  let pending = 2;
  const heard: string[] = [];
  const watch = new LoadWatch(() => pending, {
    busy: () => heard.push('busy'),
    quiet: () => heard.push('quiet') > 0,
  });
  watch.wake();
  mock.timers.tick(1_900);
  pending = 1;
  mock.timers.tick(1_000);
  pending = 2;
  mock.timers.tick(900);
  assert.deepEqual(heard, []);
  mock.timers.tick(1_000);
  assert.equal(new Set(heard.splice(0)).size, 1);
  pending = 1;
  mock.timers.tick(299_900);
  assert.deepEqual(heard, []);
  mock.timers.tick(250);
  assert.deepEqual(heard, ['quiet']);
});
