import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { order } from './images.js';
import { errorOf, gone, obedient, post, result, until } from './running.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-overload-'));
after(() => rmSync(folder, { recursive: true }));
const isReady = async (url: string) => (await fetch(`${url}/v2/health/ready`)).ok;

test('answers 503 with Retry-After beyond the queue, at once, and everything within it', async () => {
  const { url } = await obedient({ maxWaiting: 2 });
  let answered = 0;
  const busy = [1, 2, 3].map(() => post(url, order('sleep 300')).finally(() => answered++));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const response = await post(url, order('sleep 0'));
  assert.ok(answered < 3, `${answered}`);
  assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  const { status, code } = await errorOf(response);
  assert.deepEqual([status, code], [503, 'QUEUE_FULL']);
  assert.equal((await fetch(`${url}/v2/health/live`)).status, 200);
  assert.deepEqual(await Promise.all(busy.map(async (reply) => (await reply).status)), [200, 200, 200]);
  assert.equal((await post(url, order('sleep 0'))).status, 200);
});

test('counts waiting in queue and total, and inference only in inference', async () => {
  const { url } = await obedient();
  const first = post(url, order('sleep 1000'));
  const sent = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const later = performance.now() - sent;
  const second = await post(url, order('sleep 100'));
  assert.equal((await first).status, 200);
  const { queue, inference, total } = ((await second.json()) as { timings_ms: Record<string, number> }).timings_ms;
  assert.ok(later + queue >= 995, `${later} and ${queue}`); // the first has the process until then
  assert.ok(inference >= 99 && inference < 900, `${inference}`);
  assert.ok(total >= queue + inference - 1, `${total}`);
});

test('answers 504 at the deadline, waiting included, not when the image before is done', async () => {
  const { url } = await obedient({ timeoutMs: 1000 });
  const long = post(url, order('sleep 900'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const middle = post(url, order('sleep 900'));
  const started = performance.now();
  const { status, code } = await errorOf(post(url, order('count')));
  const waited = performance.now() - started;
  assert.deepEqual([status, code], [504, 'DEADLINE_EXCEEDED']);
  assert.ok(waited > 950 && waited < 1700, `${waited}`);
  assert.equal((await long).status, 200);
  assert.equal((await middle).status, 504);
});

test('takes an image out of the line when its client leaves', async () => {
  const { url } = await obedient();
  const hasPending = (count: number) =>
    until(async () => {
      const { models } = (await (await fetch(`${url}/explain/stats`)).json()) as { models: { pending: number }[] };
      return models[0].pending === count;
    });
  const before = await result(post(url, order('count')));
  const first = post(url, order('sleep 2000'));
  await hasPending(1);
  const leaver = new AbortController();
  const left = fetch(`${url}/classify`, { method: 'POST', body: order('sleep 5000'), signal: leaver.signal });
  await hasPending(2);
  leaver.abort();
  await assert.rejects(left, { name: 'AbortError' });
  await hasPending(1);
  assert.equal((await first).status, 200);
  assert.equal(await result(post(url, order('count'))), before + 1); // the first alone
});

test('answers 500 to an image the model fails on, without its inner words, and keeps serving', async () => {
  const log: [string, string?][] = [];
  const { url } = await obedient({ log: (line, level) => log.push([line, level]) });
  const { status, code, message } = await errorOf(post(url, order('fail')));
  assert.deepEqual([status, code, message], [500, 'INFERENCE_FAILED', 'the model failed on this input']);
  assert.ok(log.some(([line, level]) => line.includes('secret of the house') && level === 'error'));
  assert.equal((await post(url, order('sleep 0'))).status, 200);
});

test('tries the image again that was in inference when the process was killed', async () => {
  const { url } = await obedient();
  const reply = post(url, order(`die unless ${join(folder, 'died')}`));
  const other = post(url, order('pid'));
  await until(async () => !(await isReady(url)));
  assert.equal((await reply).status, 200);
  assert.equal((await other).status, 200);
  assert.ok(await isReady(url));
});

test('answers 500 when an image kills the process twice, and continues with a new one', async () => {
  const { url } = await obedient();
  const pid = await result(post(url, order('pid')));
  const { status, code } = await errorOf(post(url, order('die')));
  assert.deepEqual([status, code], [500, 'INFERENCE_FAILED']);
  assert.ok(gone(pid));
  assert.notEqual(await result(post(url, order('pid'))), pid);
});

test('is not ready and keeps what comes while the process restarts, after kill -9 again and again', async () => {
  const { url } = await obedient();
  for (let round = 0; round < 3; round++) {
    process.kill(await result(post(url, order('pid'))), 'SIGKILL');
    await until(async () => !(await isReady(url)));
    const response = await fetch(`${url}/v2/health/ready`);
    assert.deepEqual(await response.json(), { ready: false, error: 'the inference process is restarting' });
    assert.equal((await fetch(`${url}/v2/health/live`)).status, 200);
    assert.equal((await post(url, order('sleep 0'))).status, 200);
  }
});

test('ends a process that hangs at the deadline, answers 504 and continues with a new one', async () => {
  const { url } = await obedient({ timeoutMs: 2000 });
  const pid = await result(post(url, order('pid')));
  const { status } = await errorOf(post(url, order('hang')));
  assert.equal(status, 504);
  await until(() => gone(pid));
  await until(() => isReady(url));
  assert.notEqual(await result(post(url, order('pid'))), pid);
});
