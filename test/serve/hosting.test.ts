import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { corner, order } from './images.js';
import { alexnet, alexnetWithFiles, obedient, post, result, running, until } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-hosting-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function sample(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}{`) || candidate.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

test('answers an image it has seen from the cache, byte for byte, within the bytes given', async () => {
  const { url } = await running({ file, cacheBytes: 700 }); // two answers of 16 + 300 bytes
  const images = await Promise.all([0, 1, 2].map((quarter) => corner(quarter).png().toBuffer()));
  const ask = async (image: Buffer, path = '/classify?top=2') => {
    const response = await post(url, image, {}, path);
    return { hit: response.headers.get('x-cache'), body: await response.text() };
  };
  const first = await ask(images[0]);
  assert.equal(first.hit, 'MISS');
  assert.deepEqual(await ask(images[0]), { hit: 'HIT', body: first.body });
  const other = await ask(images[0], '/predictions/quarters');
  assert.equal(other.hit, 'HIT');
  await ask(images[1]);
  await ask(images[2]); // no room for the first any more
  assert.equal((await ask(images[1])).hit, 'HIT');
  assert.equal((await ask(images[0])).hit, 'MISS');
  assert.equal(await sample(url, 'nv_cache_num_hits_per_model'), 3);
  assert.equal(await sample(url, 'nv_cache_num_misses_per_model'), 4);
  assert.equal(await sample(url, 'nv_inference_request_success'), 7);
  assert.equal(await sample(url, 'nv_inference_count'), 4);
});

test('keeps no answers unless asked to, nor those of a version that is replaced', async () => {
  const plain = await running({ file });
  const image = await corner(0).png().toBuffer();
  for (let i = 0; i < 2; i++) assert.equal((await post(plain.url, image)).headers.get('x-cache'), null);
  const own = writeTinyModel(join(folder, 'own.onnx'), { gain: 1 });
  const token = 'a token for tests';
  const { url } = await running({ file: own, cacheBytes: 1e6, adminToken: token });
  const before = await (await post(url, image, {}, '/predictions/quarters')).text();
  writeTinyModel(own, { gain: 2 });
  const load = await fetch(`${url}/v2/repository/models/quarters/load`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(load.status, 200);
  const response = await post(url, image, {}, '/predictions/quarters');
  assert.equal(response.headers.get('x-cache'), 'MISS');
  assert.notEqual(await response.text(), before);
});

test('runs images that wait together at once, one that fails alone', async () => {
  const { url } = await obedient({ batch: 4, batchDelayMs: 0 });
  assert.equal((await post(url, order('count'))).status, 200); // from now on more than one is sent ahead
  const busy = post(url, order('sleep 300'));
  await sleep(100);
  const together = [1, 2, 3, 4].map(() => post(url, order('sleep 1')));
  assert.deepEqual(
    await Promise.all([busy, ...together].map(async (reply) => (await reply).status)),
    Array(5).fill(200),
  );
  assert.equal(await result(post(url, order('runs'))), 4); // count, sleep 300, four at once, this one
  assert.equal(await sample(url, 'nv_inference_count'), 7);
  assert.equal(await sample(url, 'nv_inference_exec_count'), 4);
  const again = post(url, order('sleep 300'));
  await sleep(100);
  const mixed = [order('sleep 1'), order('fail'), order('sleep 1')].map((bytes) => post(url, bytes));
  assert.equal((await again).status, 200);
  assert.deepEqual(await Promise.all(mixed.map(async (reply) => (await reply).status)), [200, 500, 200]);
});

test('waits for others to share a run, for as long as it may', async () => {
  const { url } = await obedient({ batch: 8, batchDelayMs: 300 });
  await post(url, order('count'));
  const first = post(url, order('sleep 1'));
  await sleep(50);
  const second = post(url, order('sleep 1'));
  await Promise.all([first, second]);
  assert.equal(await sample(url, 'nv_inference_exec_count'), 2);
});

test('answers from several processes at once, and keeps answering while one is gone', async () => {
  const { url } = await obedient({ replicas: 2 });
  const both = async () => new Set(await Promise.all([1, 2].map(() => result(post(url, order('pid'))))));
  let pids = new Set<number>(); // the server is ready with the first process; quick requests may meet one only
  await until(async () => {
    pids = await both();
    return pids.size === 2;
  });
  const [first, second] = pids;
  const started = performance.now();
  const slept = await Promise.all([1, 2].map(async () => (await post(url, order('sleep 1500'))).status));
  assert.deepEqual(slept, [200, 200]);
  assert.ok(performance.now() - started < 2900);
  process.kill(first, 'SIGKILL');
  await sleep(100);
  assert.equal((await fetch(`${url}/v2/health/ready`)).status, 200);
  assert.equal(await result(post(url, order('pid'))), second);
  await until(async () => (await both()).size === 2);
});

test('all processes of a model answer from one file: one that restarts on another takes the others along', async () => {
  const changing = join(folder, 'changing');
  writeFileSync(changing, '1');
  const log: string[] = [];
  const { url } = await obedient({
    files: [changing],
    replicas: 2,
    cacheBytes: 1e6,
    log: (line) => log.push(line),
  });
  let number = 0; // none of these is in the cache
  const four = (command: string) =>
    Promise.all([1, 2, 3, 4].map(() => result(post(url, order(`${command} ${number++}`)))));
  const kept = order('weights');
  assert.equal(await result(post(url, kept)), 1);
  let pids = new Set<number>();
  await until(async () => {
    pids = new Set(await four('pid'));
    return pids.size === 2;
  });
  writeFileSync(changing, '2');
  process.kill([...pids][0], 'SIGKILL');
  const answers = await four('weights');
  await until(async () => {
    const more = await four('weights');
    answers.push(...more);
    return more.every((weights) => weights === 2);
  });
  await until(async () => {
    answers.push(...(await four('weights')));
    return new Set(await four('pid')).size === 2;
  });
  assert.deepEqual(new Set(answers), new Set([1, 2]));
  assert.deepEqual(answers, answers.toSorted(), 'the old weights answered after the new ones');
  const { predictions } = (await (await post(url, kept)).json()) as { predictions: object[] };
  assert.deepEqual(predictions[0], { index: 0, label: 'result of 2', probability: 2 });
  assert.ok(
    log.some((line) => line.includes('the model has changed on disk')),
    log.join('\n'),
  );
});

test('a process that the system cannot start is tried again, and ends nothing else', async (t) => {
  const log: string[] = [];
  const { url } = await obedient({ log: (line) => log.push(line) });
  const pid = await result(post(url, order('pid')));
  const refuse = t.mock.method(childProcess, 'fork', () => {
    throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
  });
  syncBuiltinESMExports();
  process.kill(pid, 'SIGKILL');
  await until(() => log.some((line) => line.includes('ended (ENOMEM)')));
  refuse.mock.restore();
  syncBuiltinESMExports();
  assert.notEqual(await result(post(url, order('pid'))), pid);
});

test('logs as JSON if asked, a line per request, with its id and nothing of the image', async () => {
  const server = alexnet('serve', '--model', file, '--port', '0', '--provider', 'cpu', '--log', 'json');
  const { url } = JSON.parse(await server.line);
  await post(url, await corner(0).png().toBuffer(), { 'x-request-id': 'r-1' });
  await post(url, Buffer.from('secret'), { 'x-request-id': 'r-2' });
  await until(() => server.stderr().includes('r-2'));
  const lines = server
    .stderr()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(lines.every(({ level, time, msg }) => level && time && msg));
  assert.ok(lines.some(({ msg }) => /loading .*tiny\.onnx/.test(String(msg))));
  const requests = lines.filter(({ request_id }) => request_id);
  assert.deepEqual(
    requests.map(({ request_id, method, path, status }) => [request_id, method, path, status]),
    [
      ['r-1', 'POST', '/classify', 200],
      ['r-2', 'POST', '/classify', 415],
    ],
  );
  assert.ok(!server.stderr().includes('secret'));
});

const onLinux = { skip: process.platform !== 'linux' && 'reads /proc' };

/** Environments of the processes that this one started. */
function environmentsOfChildren(): string[] {
  const children = readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children.map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'));
}

test('the processes for inference and views get no token, key or password of the server', onLinux, async () => {
  const amazon = ['AWS_SECRET_ACCESS_KEY', 'AWS_ACCESS_KEY_ID'];
  const secrets = ['ALEXNET_ADMIN_TOKEN', ...amazon, 'DB_PASSWORD', 'API_KEY', 'OTEL_EXPORTER_OTLP_HEADERS'];
  for (const name of secrets) process.env[name] = 'known to the server only';
  after(() => {
    for (const name of secrets) delete process.env[name];
  });
  const { url } = await running({ file, adminToken: process.env.ALEXNET_ADMIN_TOKEN });
  assert.equal((await fetch(`${url}/explain/layers`)).status, 200);
  const environments = environmentsOfChildren();
  assert.ok(environments.length >= 2);
  for (const environment of environments) {
    assert.doesNotMatch(environment, /known to the server only/);
    assert.match(environment, /(^|\0)PATH=/); // what libraries are found by stays
  }
});

const inShell = { skip: process.platform === 'win32' && 'needs ulimit' };

test('starts and answers with 64 open files allowed, views and twenty connections included', inShell, async () => {
  const server = alexnetWithFiles(64, 'serve', '--model', file, '--port', '0', '--provider', 'cpu');
  const { url } = JSON.parse(await server.line);
  const image = await corner(0).png().toBuffer();
  const ask = ['/explain/layers', '/openapi.json', '/docs/swagger-ui.css', '/'].map((path) => fetch(url + path));
  const images = Array.from({ length: 16 }, () => post(url, image));
  const statuses = await Promise.all([...ask, ...images].map(async (reply) => (await reply).status));
  assert.deepEqual(statuses, Array(20).fill(200));
});

test('says how many open files it needs if too few are allowed', inShell, async () => {
  const server = alexnetWithFiles(20, 'serve', '--model', file, '--port', '0', '--provider', 'cpu');
  assert.equal(await server.ended, 1);
  assert.match(server.stderr(), /too many open files; allow 64 or more \(ulimit -n\)/);
});
