/** The line of views and its process, with a stand-in that counts its steps. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sendLines } from '../../serve/http/views/send-view.js';
import type { ServerOptions } from '../../serve/server.js';
import { order } from './images.js';
import { errorOf, gone, obedient, post, until } from './running.js';

const VIEWS = fileURLToPath(new URL('./obedient-views.js', import.meta.url));
const image = order('sleep 0');
const serving = (options: Partial<ServerOptions> = {}) => obedient({ viewModule: VIEWS, ...options });

/** Steps done so far in the process, and its id. */
async function counted(url: string): Promise<{ steps: number; pid: number }> {
  return (await (await fetch(`${url}/explain/graph`)).json()) as { steps: number; pid: number };
}

/** A map that is being computed; resolves when its first line has come. */
async function begun(url: string, parts: number, ms: number) {
  const controller = new AbortController();
  const path = `${url}/explain/occlusion?patch=${parts}&stride=${ms}`;
  const response = await fetch(path, { method: 'POST', body: new Uint8Array(image), signal: controller.signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const first = await reader.read();
  const rest = async () => {
    let text = first.value ?? '';
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  return { leave: () => controller.abort(), rest };
}

/** Command lines of the processes that this one has started. */
function children(): string[] {
  const pids = readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return pids.map((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8'));
}

async function views(url: string): Promise<{ process: string; running: string | null; waiting: number }> {
  const { models } = (await (await fetch(`${url}/explain/stats`)).json()) as { models: { views: never }[] };
  return models[0].views;
}

test('computes no further when the client leaves, and continues with the next view', async () => {
  const { url } = await serving();
  const map = await begun(url, 500, 10);
  map.leave();
  await until(async () => (await views(url)).running === null);
  const { steps } = await counted(url);
  assert.ok(steps >= 1 && steps < 50, `${steps}`);
  await post(url, image);
  assert.equal((await counted(url)).steps, steps);
});

test('computes one view at a time, lets four wait, and answers 503 with Retry-After beyond', async () => {
  const { url } = await serving();
  const map = await begun(url, 60, 10);
  const waiting = [1, 2, 3, 4].map(() => counted(url));
  await until(async () => (await views(url)).waiting === 4);
  const refused = await fetch(`${url}/explain/graph`);
  assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  const { status, code } = await errorOf(refused);
  assert.deepEqual([status, code], [503, 'VIEWS_BUSY']);
  assert.equal((await post(url, image)).status, 200); // classification has a line of its own
  assert.deepEqual((await map.rest()).length, 60);
  for (const { steps } of await Promise.all(waiting)) assert.equal(steps, 60);
});

test('gives its place in the line up when a client that waits leaves', async () => {
  const { url } = await serving();
  const map = await begun(url, 40, 10);
  const controller = new AbortController();
  const left = fetch(`${url}/explain/graph`, { signal: controller.signal }).catch(() => 'left');
  await until(async () => (await views(url)).waiting === 1);
  const after = counted(url);
  controller.abort();
  assert.equal(await left, 'left');
  await until(async () => (await views(url)).waiting === 1);
  await map.rest();
  assert.equal((await after).steps, 40);
});

test('waits with a step while an image is being classified', async () => {
  const { url } = await serving();
  await counted(url); // its process is up
  const image = post(url, order('sleep 400'));
  await until(async () => {
    const { models } = (await (await fetch(`${url}/explain/stats`)).json()) as { models: { pending: number }[] };
    return models[0].pending === 1;
  });
  const started = performance.now();
  await counted(url);
  assert.ok(performance.now() - started > 200, `${performance.now() - started}`);
  assert.equal((await image).status, 200);
});

test('ends the process when nobody has looked for a while, and starts another for the next view', async () => {
  const { url } = await serving({ viewIdleMs: 100 });
  assert.equal((await views(url)).process, 'none');
  const { pid } = await counted(url);
  await until(() => gone(pid));
  assert.equal((await views(url)).process, 'none');
  assert.notEqual((await counted(url)).pid, pid);
});

test('answers 500 when the process dies or a view fails, without what it says, and continues with the next view', async () => {
  const log: string[] = [];
  const { url } = await serving({ log: (line) => log.push(line) });
  const { pid } = await counted(url);
  const died = await errorOf(fetch(`${url}/explain/metadata`));
  assert.deepEqual([died.status, died.code], [500, 'VIEW_FAILED']);
  assert.ok(gone(pid));
  const failed = await errorOf(fetch(`${url}/explain/layers`));
  assert.deepEqual(
    [failed.status, failed.code, failed.message],
    [500, 'VIEW_FAILED', 'the view could not be computed'],
  );
  assert.ok(log.some((line) => line.includes('secret of the house')));
  assert.ok(log.includes('the process for views ended (SIGKILL)'));
  assert.equal((await counted(url)).steps, 0);
});

test('listens once to a client that reads slowly, however many lines it is sent', async () => {
  const response = Object.assign(new EventEmitter(), {
    headersSent: true,
    write: () => {
      setImmediate(() => response.emit('drain'));
      return false;
    },
    end: () => undefined,
  });
  async function* parts() {
    for (let i = 0; i < 12; i++) yield { json: { i } };
  }
  await sendLines(response as never, undefined as never, parts(), () => undefined);
  assert.ok(response.listenerCount('close') <= 1, `${response.listenerCount('close')} listeners`);
});

test('closes a map with a line that says so when the server stops', async () => {
  const { url, server } = await serving();
  const { pid } = await counted(url);
  const map = await begun(url, 1000, 10);
  const stopped = server.stop();
  const lines = await map.rest();
  assert.equal(lines.at(-1).type, 'error');
  assert.equal(lines.at(-1).error.code, 'SHUTTING_DOWN');
  await stopped;
  await until(() => gone(pid));
});

test('starts no process for a view that was in line when the server stopped', async () => {
  const { url, server } = await serving();
  const { pid } = await counted(url);
  const map = await begun(url, 1000, 10);
  const waiting = errorOf(fetch(`${url}/explain/graph`));
  await until(async () => (await views(url)).waiting === 1, 1000);
  const stopped = server.stop();
  assert.equal((await map.rest()).at(-1).error.code, 'SHUTTING_DOWN');
  assert.equal((await waiting).code, 'SHUTTING_DOWN');
  await stopped;
  await until(() => gone(pid), 1000);
  assert.deepEqual(
    children().filter((child) => child.includes('obedient-views')),
    [],
  );
});
