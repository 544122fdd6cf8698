/** Many images in one request. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { corner, order, pattern } from './images.js';
import { errorOf, obedient, post, result, running, until } from './running.js';
import { QUARTERS, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-batch-'));
after(() => rmSync(folder, { recursive: true }));
const limits = { maxBytes: 20_000, maxBatchImages: 30, maxBatchBytes: 300_000, maxInFlight: 400_000 };
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), ...limits, maxWaiting: 2 });
const corners = await Promise.all([0, 1, 2, 3].map((quarter) => corner(quarter).png().toBuffer()));

interface Answer {
  model: { name: string };
  results: {
    image?: string;
    predictions?: { label: string; probability: number }[];
    timings_ms?: object;
    error?: { code: string; message: string };
  }[];
}

const PATH = '/classify/batch';

function form(images: readonly Uint8Array[], field = 'image'): FormData {
  const data = new FormData();
  for (const [i, image] of images.entries()) data.append(field, new Blob([new Uint8Array(image)]), `größe ${i}.png`);
  return data;
}

async function answerTo(body: FormData | object, query = '', at = url): Promise<Answer> {
  const response =
    body instanceof FormData
      ? await post(at, body, {}, PATH + query)
      : await post(at, Buffer.from(JSON.stringify(body)), { 'content-type': 'application/json' }, PATH + query);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Answer;
}

const best = ({ results }: Answer) => results.map(({ predictions, error }) => predictions?.[0].label ?? error?.code);

test('answers the images of a form in order, with the names of their files', async () => {
  const answer = await answerTo(form(corners));
  assert.deepEqual(best(answer), QUARTERS);
  assert.deepEqual(
    answer.results.map(({ image }) => image),
    [0, 1, 2, 3].map((i) => `größe ${i}.png`),
  );
  assert.equal(answer.model.name, 'quarters');
  const single = (await (await post(url, corners[1])).json()) as { predictions: object[] };
  assert.deepEqual(answer.results[1].predictions, single.predictions);
});

test('answers a list of base64, alone and as images, with ?top for each', async () => {
  const list = corners.map((bytes) => bytes.toString('base64'));
  assert.deepEqual(best(await answerTo(list)), QUARTERS);
  assert.deepEqual(best(await answerTo(list.map((text) => `data:image/png;base64,${text}`))), QUARTERS);
  const answer = await answerTo({ images: list }, '?top=2');
  assert.deepEqual(
    answer.results.map(({ predictions }) => predictions?.length),
    [2, 2, 2, 2],
  );
  const large = await pattern(80, 80).png().toBuffer(); // read off the loop
  assert.equal((await answerTo(Array.from({ length: 12 }, () => large.toString('base64')))).results.length, 12);
});

test('gives every image an error of its own, and answers the others', async () => {
  const images = [
    corners[0],
    Buffer.from('no image'),
    corners[1].subarray(0, 60),
    Buffer.alloc(0),
    Buffer.alloc(20_001),
  ];
  const codes = [
    'top left',
    'UNSUPPORTED_IMAGE_TYPE',
    'INVALID_IMAGE',
    'EMPTY_BODY',
    'IMAGE_TOO_LARGE',
    'bottom right',
  ];
  const answer = await answerTo(form([...images, corners[3]]));
  assert.deepEqual(best(answer), codes);
  assert.ok(answer.results[1].error!.message.length > 10);
  const json = await answerTo([corners[0].toString('base64'), 'not base64!', corners[3].toString('base64')]);
  assert.deepEqual(best(json), ['top left', 'BAD_REQUEST', 'bottom right']);
});

test('takes more images than may wait in line', async () => {
  const answer = await answerTo(form(Array.from({ length: 30 }, (_, i) => corners[i % 4])));
  assert.deepEqual(
    best(answer),
    Array.from({ length: 30 }, (_, i) => QUARTERS[i % 4]),
  );
});

test('the Open Inference Protocol takes more images than may wait in line as well', async () => {
  const data = Array.from({ length: 30 }, (_, i) => corners[i % 4].toString('base64'));
  const body = Buffer.from(JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [30], data }] }));
  const response = await post(url, body, { 'content-type': 'application/json' }, '/v2/models/quarters/infer');
  const { outputs } = (await response.json()) as { outputs: { shape: number[] }[] };
  assert.deepEqual(outputs[0].shape, [30, 4]);
});

test('answers every image of the batches it has taken, though others fill the line and it is told to end', async () => {
  for (const maxWaiting of [0, 2]) {
    const { url: at, server } = await obedient({ maxWaiting });
    const batch = () => post(at, form(Array.from({ length: 8 }, () => order('sleep 20'))), {}, PATH);
    const answers = Array.from({ length: 6 }, batch);
    await until(async () => /^nv_inference_count\S* [1-9]/m.test(await (await fetch(`${at}/metrics`)).text()));
    const ended = server.stop();
    let taken = 0;
    for (const answer of await Promise.all(answers)) {
      if (answer.status === 503) continue;
      taken += 1;
      const { results } = (await answer.json()) as Answer;
      assert.ok(
        results.every(({ error }) => !error),
        JSON.stringify(results),
      );
    }
    assert.ok(taken > 0);
    await ended;
  }
});

test('refuses a batch of too many images or bytes, of none, or that is not one', async () => {
  const json = { 'content-type': 'application/json' };
  const text = (value: unknown) => Buffer.from(JSON.stringify(value));
  const cases: [Parameters<typeof post>[1], Record<string, string>, number, string][] = [
    [form(Array(31).fill(corners[0])), {}, 413, 'BATCH_TOO_LARGE'],
    [text(Array(31).fill('')), json, 413, 'BATCH_TOO_LARGE'],
    [Buffer.alloc(300_001), json, 413, 'BATCH_TOO_LARGE'],
    [form(corners, 'file'), {}, 400, 'IMAGE_FIELD_MISSING'],
    [text([]), json, 400, 'BAD_REQUEST'],
    [text({ images: [5] }), json, 400, 'BAD_REQUEST'],
    [text({ images: [''], top: 1 }), json, 400, 'BAD_REQUEST'],
    [text('x'), json, 400, 'BAD_REQUEST'],
    [corners[0], { 'content-type': 'image/png' }, 400, 'BAD_REQUEST'],
  ];
  for (const [body, headers, status, code] of cases) {
    const error = await errorOf(post(url, body, headers, PATH));
    assert.deepEqual([error.status, error.code], [status, code]);
  }
  const single = await errorOf(post(url, corners[0], { 'content-type': 'image/png' }, PATH));
  assert.match(single.message, /not JSON; expected a form with a field "image"/);
  assert.equal((await errorOf(post(url, form(corners), {}, `${PATH}?top=9`))).code, 'INVALID_TOP');
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^alexnet_request_bytes_in_flight 0$/m);
});

test('a client that leaves takes its images along', async () => {
  const stand = await obedient({ maxWaiting: 4 });
  const controller = new AbortController();
  const images = [order('sleep 300'), ...Array.from({ length: 20 }, () => order('runs'))];
  const left = fetch(stand.url + PATH, { method: 'POST', body: form(images), signal: controller.signal });
  const pending = async () =>
    /^nv_inference_pending_request_count 0$/m.test(await (await fetch(`${stand.url}/metrics`)).text());
  await until(async () => !(await pending()));
  controller.abort();
  await assert.rejects(left);
  await until(pending);
  assert.ok((await result(post(stand.url, order('runs')))) < 10);
});

test('finishes a batch that began before its model was unloaded', async () => {
  const adminToken = 'a token of the tests';
  const { url } = await obedient({ maxWaiting: 0, timeoutMs: 2000, adminToken });
  const batch = answerTo(form(Array.from({ length: 5 }, () => order('sleep 50'))), '', url);
  const metrics = async () => (await fetch(`${url}/metrics`)).text();
  await until(async () => /^nv_inference_pending_request_count 1$/m.test(await metrics()));
  const headers = { authorization: `Bearer ${adminToken}` };
  const unloaded = await post(url, Buffer.from(''), headers, '/v2/repository/models/obedient/unload');
  assert.equal(unloaded.status, 200);
  const { results } = await batch;
  assert.deepEqual(
    results.map(({ error }) => error?.code),
    Array(5).fill(undefined),
  );
});
