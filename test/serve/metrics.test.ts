import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import parsePrometheus from 'parse-prometheus-text-format';
import { Metrics } from '../../serve/metrics.js';
import type { ServedModel } from '../../serve/served-model.js';
import { corner } from './images.js';
import { post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-metrics-'));
after(() => rmSync(folder, { recursive: true }));
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), maxBytes: 100_000 });

/** Samples by name and labels as written. */
async function samples(): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

const OF_MODEL = 'model="quarters",version="1"';

test('counts what clients count, by route as written and status', async () => {
  const before = await samples();
  assert.equal(before.get(`nv_inference_request_success{${OF_MODEL}}`), 0);
  const image = await corner(2).png().toBuffer();
  await Promise.all(Array.from({ length: 7 }, async () => (await post(url, image)).json()));
  await (await post(url, image, {}, '/predictions/quarters/1')).json();
  await (await post(url, image, {}, '/predictions/nobody')).json();
  await (await post(url, image, {}, '/models/quarters')).json();
  await (await post(url, Buffer.from('no image'))).json();
  await (await post(url, Buffer.from('\x89PNG\r\n\x1a\n cut', 'latin1'))).json();
  for (let i = 0; i < 20; i++) await (await fetch(`${url}/secret/${i}`)).json();
  const after = await samples();
  const requests = (method: string, route: string, status: number) =>
    after.get(`http_requests_total{method="${method}",route="${route}",status="${status}"}`);
  assert.equal(requests('POST', '/classify', 200), 7);
  assert.equal(requests('POST', '/classify', 415), 1);
  assert.equal(requests('POST', '/classify', 400), 1);
  assert.equal(requests('POST', '/predictions/:model/:version', 200), 1);
  assert.equal(requests('POST', '/predictions/:model', 404), 1);
  assert.equal(requests('POST', '/models/:model', 200), 1);
  assert.equal(requests('GET', 'other', 404), 20);
  assert.equal(after.get(`nv_inference_request_success{${OF_MODEL}}`), 9);
  assert.equal(after.get(`nv_inference_count{${OF_MODEL}}`), 9);
  assert.equal(after.get(`nv_inference_request_failure{${OF_MODEL},reason="OTHER"}`), 1); // the cut image
  assert.equal(after.get('http_request_duration_seconds_count{method="POST",route="/classify"}'), 9);
  const duration = (part: string) => after.get(`nv_inference_${part}_duration_us{${OF_MODEL}}`)!;
  const sum = duration('queue') + duration('compute_input') + duration('compute_infer');
  assert.ok(Math.abs(sum - duration('request')) < 50 && sum > 0, `${sum}, ${duration('request')}`);
});

test('says what runs, and keeps the number of series small', async () => {
  const found = await samples();
  assert.equal(found.get(`alexnet_model_info{${OF_MODEL},provider="cpu"}`), 1);
  assert.equal(found.get('alexnet_inference_up'), 1);
  assert.equal(found.get('nv_inference_pending_request_count'), 0);
  assert.ok(
    [...found.keys()].filter((name) => !name.startsWith('nodejs_') && !name.startsWith('process_')).length < 200,
  );
});

test('is read by a parser of Prometheus’ text format, every family with help and type', async () => {
  const families = parsePrometheus(await (await fetch(`${url}/metrics`)).text());
  assert.ok(families.length > 20);
  for (const { name, help, type } of families) assert.ok(help && type !== 'UNTYPED', name);
  const success = families.find(({ name }) => name === 'nv_inference_request_success');
  assert.equal(success?.type, 'COUNTER');
  assert.deepEqual(success?.metrics[0].labels, { model: 'quarters', version: '1' });
  const duration = families.find(({ name }) => name === 'http_request_duration_seconds');
  assert.equal(duration?.type, 'HISTOGRAM');
});

test('names one provider for a model, also after a restart on another', async () => {
  const metrics = new Metrics({
    pending: () => 0,
    up: () => true,
    leftOut: () => [],
    bytesInFlight: () => 0,
    maxInFlight: 0,
  });
  const model = { name: 'a', version: '1' } as ServedModel;
  for (const provider of ['cuda', 'cpu'] as const) metrics.modelLoaded(model, provider);
  const { body } = await metrics.text();
  assert.deepEqual(body.match(/^alexnet_model_info\{.*$/gm), [
    'alexnet_model_info{model="a",version="1",provider="cpu"} 1',
  ]);
});
