/** What operators' tools read of other servers: Triton's configuration and statistics, TorchServe's management. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { corner, order } from './images.js';
import { obedient, post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-management-'));
after(() => rmSync(folder, { recursive: true }));
for (const place of ['quarters/1', 'quarters/2', 'other/1']) {
  mkdirSync(join(folder, place), { recursive: true });
  writeTinyModel(join(folder, place, 'model.onnx'));
}
writeTinyModel(join(folder, 'other/1/model.onnx'), { batch: 1 });
const image = await corner(2).png().toBuffer();
const { url } = await running({ folder, cacheBytes: 100_000, maxWaiting: 5 });

async function json<T>(path: string, at = url): Promise<T> {
  const response = await fetch(at + path);
  assert.equal(response.status, 200, path);
  return (await response.json()) as T;
}

test('Triton: a model’s configuration, without the free axis of its batch', async () => {
  const { extensions } = await json<{ extensions: string[] }>('/v2');
  assert.ok(extensions.includes('model_configuration') && extensions.includes('statistics'));
  const config = await json<Record<string, unknown>>('/v2/models/quarters/config');
  assert.deepEqual(config, {
    name: 'quarters',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    default_model_filename: 'model.onnx',
    version_policy: { specific: { versions: [1, 2] } },
    max_batch_size: 64,
    input: [{ name: 'image', data_type: 'TYPE_UINT8', dims: [8, 8, 3], format: 'FORMAT_NONE' }],
    output: [{ name: 'probabilities', data_type: 'TYPE_FP32', dims: [4], label_filename: '' }],
    instance_group: [{ name: 'quarters_0', kind: 'KIND_CPU', count: 1 }],
    parameters: {},
  });
  const fixed = await json<Record<string, unknown>>('/v2/models/other/versions/1/config');
  assert.equal(fixed.max_batch_size, 0);
  assert.deepEqual((fixed.input as object[])[0], {
    name: 'image',
    data_type: 'TYPE_UINT8',
    dims: [1, 8, 8, 3],
    format: 'FORMAT_NONE',
  });
  assert.equal((await fetch(`${url}/v2/models/nobody/config`)).status, 404);
});

interface Stats {
  model_stats: {
    name: string;
    version: string;
    last_inference: number;
    inference_count: number;
    execution_count: number;
    inference_stats: Record<string, { count: number; ns: number }>;
    batch_stats: { batch_size: number; compute_infer: { count: number; ns: number } }[];
  }[];
}

test('Triton: statistics count successes, failures, cache hits and runs since the load', async () => {
  const started = Date.now();
  const path = '/v2/models/quarters/versions/2/stats';
  const [none] = (await json<Stats>(path)).model_stats;
  assert.deepEqual([none.last_inference, none.inference_count, none.batch_stats.length], [0, 0, 0]);
  for (const bytes of [image, image, await corner(1).png().toBuffer()])
    assert.equal((await post(url, bytes, {}, '/classify?model=quarters&version=2')).status, 200);
  const broken = await post(url, image.subarray(0, 60), {}, '/classify?model=quarters&version=2');
  assert.equal(broken.status, 400);
  const [stats] = (await json<Stats>(path)).model_stats;
  const counts = Object.fromEntries(Object.entries(stats.inference_stats).map(([name, { count }]) => [name, count]));
  assert.deepEqual([stats.name, stats.version], ['quarters', '2']);
  assert.deepEqual([stats.inference_count, stats.execution_count], [2, 2]);
  assert.ok(stats.last_inference >= started);
  const computed = { queue: 2, compute_input: 2, compute_infer: 2, compute_output: 2 };
  assert.deepEqual(counts, { success: 3, fail: 1, ...computed, cache_hit: 1, cache_miss: 3 });
  assert.ok(stats.inference_stats.compute_infer.ns > 1000);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const [, us] = /^nv_inference_request_duration_us\{model="quarters",version="2"\} (\d+)$/m.exec(metrics)!;
  assert.ok(Math.abs(Number(us) - stats.inference_stats.success.ns / 1000) <= 3, us); // the cache's answer too, each rounded
  assert.deepEqual(
    stats.batch_stats.map(({ batch_size, compute_infer: { count } }) => [batch_size, count]),
    [[1, 2]],
  );
  const all = await json<Stats>('/v2/models/stats');
  assert.deepEqual(all.model_stats.map(({ name, version }) => `${name}/${version}`).sort(), [
    'other/1',
    'quarters/1',
    'quarters/2',
  ]);
  assert.equal((await json<Stats>('/v2/models/quarters/stats')).model_stats.length, 2);
});

test('Triton: statistics by batch size count runs, not images', async () => {
  const shared = await obedient({ batch: 4, batchDelayMs: 200 });
  await Promise.all(Array.from({ length: 4 }, () => post(shared.url, order('sleep 1'))));
  const [{ inference_count, execution_count, batch_stats }] = (await json<Stats>('/v2/models/stats', shared.url))
    .model_stats;
  assert.equal(inference_count, 4);
  assert.equal(
    batch_stats.reduce((sum, { compute_infer }) => sum + compute_infer.count, 0),
    execution_count,
  );
  assert.equal(
    batch_stats.reduce((sum, { batch_size, compute_infer }) => sum + batch_size * compute_infer.count, 0),
    4,
  );
});

test('TorchServe: lists the models, by pages', async () => {
  interface List {
    models: { modelName: string; modelUrl: string }[];
    nextPageToken?: string;
  }
  const whole = await json<List>('/models');
  assert.deepEqual(whole.models.map(({ modelName }) => modelName).sort(), ['other', 'quarters']);
  assert.equal(whole.nextPageToken, undefined);
  assert.equal(whole.models[0].modelUrl, 'model.onnx');
  const first = await json<List>('/models?limit=1');
  const second = await json<List>(`/models?limit=1&next_page_token=${first.nextPageToken}`);
  assert.deepEqual([...first.models, ...second.models], whole.models);
  const refused = await fetch(`${url}/models?limit=x`);
  assert.equal(refused.status, 400);
  assert.equal(((await refused.json()) as { type: string }).type, 'BadRequestException');
});

test('TorchServe: describes a model, a version or all of them, with its processes and its line', async () => {
  type Described = {
    modelName: string;
    modelVersion: string;
    workers: { status: string; pid: number }[];
    jobQueueStatus: object;
  }[];
  const [latest] = await json<Described>('/models/quarters');
  assert.deepEqual([latest.modelName, latest.modelVersion], ['quarters', '2']);
  assert.deepEqual(
    latest.workers.map(({ status }) => status),
    ['READY'],
  );
  assert.doesNotThrow(() => process.kill(latest.workers[0].pid, 0));
  assert.deepEqual(latest.jobQueueStatus, { remainingCapacity: 6, pendingRequests: 0 });
  assert.equal((await json<Described>('/models/quarters/1'))[0].modelVersion, '1');
  assert.equal((await json<Described>('/models/quarters/all')).length, 2);
  const missing = await fetch(`${url}/models/nobody`);
  assert.equal(((await missing.json()) as { type: string }).type, 'ModelNotFoundException');
});

test('Hugging Face: the only model answers at the root; of several, one has to be named', async () => {
  const file = writeTinyModel(join(folder, 'single.onnx'));
  const single = await running({ file });
  const scores = (await (await post(single.url, image, {}, '/')).json()) as { label: string; score: number }[];
  assert.equal(scores[0].label, 'bottom left');
  const headers = { 'content-type': 'application/json' };
  const body = Buffer.from(JSON.stringify({ inputs: image.toString('base64'), parameters: { top_k: 2 } }));
  const two = (await (await post(single.url, body, headers, '/')).json()) as object[];
  assert.equal(two.length, 2);
  const several = await post(url, image, {}, '/');
  assert.equal(several.status, 400);
  assert.match(((await several.json()) as { error: string }).error, /several models: .*; choose one with \?model=/);
  const named = (await (await post(url, image, {}, '/?model=quarters')).json()) as typeof scores;
  assert.equal(named[0].label, 'bottom left');
  assert.match((await fetch(`${single.url}/`)).headers.get('content-type')!, /html/);
  const other = await fetch(`${single.url}/`, { method: 'DELETE' });
  assert.deepEqual([other.status, other.headers.get('allow')], [405, 'POST, GET, HEAD']);
});

test('labels come from TorchServe’s index_to_name.json next to config.json', async () => {
  const names = {
    '0': ['n00000001', 'one'],
    '1': ['n00000002', 'two'],
    '2': ['n00000003', 'three'],
    '3': ['n00000004', 'four'],
  };
  const own = join(folder, 'mapped');
  mkdirSync(own);
  const file = writeTinyModel(join(own, 'model.onnx'), { metadata: null });
  writeFileSync(join(own, 'config.json'), '{}');
  writeFileSync(join(own, 'index_to_name.json'), JSON.stringify(names));
  const mapped = await running({ file });
  const { predictions } = (await (await post(mapped.url, image)).json()) as { predictions: object[] };
  const { index, label, synset } = predictions[0] as { index: number; label: string; synset: string };
  assert.deepEqual([index, label, synset], [2, 'three', 'n00000003']);
  writeFileSync(join(own, 'index_to_name.json'), JSON.stringify({ 0: 'a', 1: 'b', 3: 'c', 4: 'd' }));
  await assert.rejects(running({ file }), /index_to_name\.json: expected the classes 0 to 3, got none for 2/);
});
