import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { alexnet } from '../real/shared-process.js';
import { corner } from './images.js';
import { post, running, until } from './running.js';
import { QUARTERS, type TinyModel, tinyModel, writeTinyPair } from './tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-repository-'));
after(() => rmSync(root, { recursive: true }));
const TOKEN = 'a token of the tests';
const image = await corner(2).png().toBuffer();

/** Puts a model in its place at once. */
function put(folder: string, name: string, version: string, model: TinyModel = {}): string {
  const place = join(folder, name, version);
  mkdirSync(place, { recursive: true });
  const file = join(place, 'model.onnx');
  writeFileSync(`${file}.new`, tinyModel(model));
  renameSync(`${file}.new`, file);
  return file;
}

function folder(name: string): string {
  const made = join(root, name);
  mkdirSync(made);
  return made;
}

interface Classified {
  predictions: { index: number; label: string; probability: number }[];
  model: { name: string; version: string };
  error: { code: string; message: string };
}
const classify = async (url: string, query = '') => {
  const response = await post(url, image, {}, `/classify${query}`);
  return { status: response.status, ...((await response.json()) as Classified) };
};
const change = (url: string, model: string, action: 'load' | 'unload', token = TOKEN) =>
  fetch(`${url}/v2/repository/models/${model}/${action}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
const index = async (url: string) =>
  (await fetch(`${url}/v2/repository/index`, { method: 'POST' })).json() as Promise<
    { name: string; version: string; state: string; reason: string }[]
  >;
const isReady = async (url: string) => (await fetch(`${url}/v2/health/ready`)).status === 200;

/** Softmax of one white quarter: its logit is the gain. */
const best = (gain: number) => Math.exp(gain) / (Math.exp(gain) + 3);

test('serves every model and version of a folder, the latest if none is named', async () => {
  const models = folder('several');
  put(models, 'a', '1', { gain: 1 });
  put(models, 'a', '2', { gain: 2 });
  put(models, 'a', '10', { gain: 5 });
  put(models, 'b', '1', { gain: 3, metadata: { labels: ['p', 'q', 'r', 's'] } });
  mkdirSync(join(models, 'no model'));
  mkdirSync(join(models, 'empty', '1'), { recursive: true });
  const log: string[] = [];
  const { url } = await running({ folder: models, log: (line) => log.push(line) });
  assert.ok(log.some((line) => /no model: left out: names of models/.test(line)));
  assert.ok(log.some((line) => /^model "empty", version 1: left out: \S+empty\/1: holds no model\.onnx/.test(line)));
  const cases: [string, string, string, number, string][] = [
    ['?model=a', 'a', '10', 5, 'bottom left'],
    ['?model=a&version=1', 'a', '1', 1, 'bottom left'],
    ['?model=a&version=2', 'a', '2', 2, 'bottom left'],
    ['?model=b', 'b', '1', 3, 'r'],
  ];
  for (const [query, name, version, gain, label] of cases) {
    const { model, predictions } = await classify(url, query);
    assert.deepEqual(model, { name, version });
    assert.equal(predictions[0].label, label);
    assert.ok(Math.abs(predictions[0].probability - best(gain)) < 1e-3, `${query}: ${predictions[0].probability}`);
  }
  const { status, error } = await classify(url);
  assert.deepEqual([status, error.code], [400, 'MODEL_AMBIGUOUS']);
  assert.match(error.message, /the server has several models: a, b; choose one with \?model=/);
  assert.equal((await classify(url, '?model=a&version=3')).error.code, 'MODEL_NOT_FOUND');
  assert.equal((await classify(url, '?model=a&model=b')).status, 400);
  const metadata = await (await fetch(`${url}/v2/models/a`)).json();
  assert.deepEqual((metadata as { versions: string[] }).versions, ['1', '2', '10']);
  assert.equal((await post(url, image, {}, '/predictions/b/1')).status, 200);
});

test('serves only the latest versions if asked, and single files next to a folder', async () => {
  const models = folder('latest');
  put(models, 'a', '1');
  put(models, 'a', '2');
  const file = join(root, 'single.onnx');
  cpSync(put(models, 'b', '9', { metadata: { model: 'my own!' } }), file);
  rmSync(join(models, 'b'), { recursive: true });
  const { url } = await running({ folder: models, versions: 'latest', file });
  assert.deepEqual(
    (await index(url)).map(({ name, version }) => `${name}/${version}`),
    ['a/2', 'my-own-/1'],
  );
});

test('loads new and changed versions under traffic: every answer is of one of them, and none fails', async () => {
  const models = folder('traffic');
  const other = ['w', 'x', 'y', 'z'];
  put(models, 'a', '1', { gain: 1 });
  const { url } = await running({ folder: models, adminToken: TOKEN });
  let ended = false;
  const seen = new Map<string, number>();
  const traffic = [1, 2].map(async () => {
    while (!ended) {
      const { status, predictions, error } = await classify(url);
      assert.equal(status, 200, error?.message);
      const [{ label, probability }] = predictions;
      // Labels and weights of one file: these, or those.
      if (label === 'bottom left') assert.ok(Math.abs(probability - best(1)) < 1e-3);
      else assert.ok(label === 'y' && Math.abs(probability - best(3)) < 1e-3, `${label} ${probability}`);
      seen.set(label, (seen.get(label) ?? 0) + 1);
    }
  });
  for (let round = 0; round < 2; round++) {
    put(models, 'a', '1', round % 2 ? { gain: 1 } : { gain: 3, metadata: { labels: other } });
    assert.equal((await change(url, 'a', 'load')).status, 200);
    assert.ok(await isReady(url));
    const { predictions } = await classify(url);
    assert.equal(predictions[0].label, round % 2 ? 'bottom left' : 'y');
  }
  put(models, 'a', '2', { gain: 3, metadata: { labels: other } });
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.equal((await classify(url)).model.version, '2');
  rmSync(join(models, 'a', '1'), { recursive: true });
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.deepEqual(
    (await index(url)).map(({ version, state }) => [version, state]),
    [
      ['1', 'UNAVAILABLE'],
      ['2', 'READY'],
    ],
  );
  ended = true;
  await Promise.all(traffic);
  assert.deepEqual([...seen.keys()].sort(), ['bottom left', 'y']);
});

/** The weights of the tiny model are in a file next to it. */
function weightsApart(gain: number): { model: Uint8Array; weights: Uint8Array } {
  const proto = onnx.ModelProto.decode(tinyModel({ metadata: null, gain }));
  const tensor = proto.graph!.initializer!.find(({ name }) => name === 'weights')!;
  const weights = tensor.rawData!;
  Object.assign(tensor, { rawData: null, dataLocation: 1, externalData: [{ key: 'location', value: 'weights.bin' }] });
  return { model: onnx.ModelProto.encode(proto).finish(), weights };
}

test('load takes up labels and weights that changed in files of their own, and lets what did not change run', async () => {
  const models = folder('apart');
  put(models, 'same', '1');
  const own = join(models, 'a');
  const replace = (bytes: Uint8Array | string, ...path: string[]) => {
    mkdirSync(join(own, '1'), { recursive: true });
    writeFileSync(join(own, 'new'), bytes);
    renameSync(join(own, 'new'), join(own, ...path));
  };
  const { model, weights } = weightsApart(1);
  replace(model, '1', 'model.onnx');
  replace(weights, '1', 'weights.bin');
  replace('{"labels": "labels.txt"}', 'config.json');
  replace('p\nq\nr\ns\n', 'labels.txt');
  const { url } = await running({ folder: models, adminToken: TOKEN });
  const answer = async () => (await classify(url, '?model=a')).predictions[0];
  const pids = async () => /"pid":\d+/.exec(await (await fetch(`${url}/models/same`)).text())![0];
  const before = await pids();
  assert.equal((await answer()).label, 'r');
  replace('w\nx\ny\nz\n', 'labels.txt');
  assert.equal((await change(url, 'a', 'load')).status, 200);
  const { label, probability } = await answer();
  assert.equal(label, 'y');
  replace(weightsApart(3).weights, '1', 'weights.bin');
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.ok((await answer()).probability > probability + 0.2); // about 0.87 after 0.48
  assert.equal((await change(url, 'same', 'load')).status, 200);
  assert.equal(await pids(), before);
});

test('a failed load keeps what answers, and says why without naming folders', async () => {
  const models = folder('failing');
  const file = put(models, 'a', '1', { gain: 2 });
  const { url } = await running({ folder: models, adminToken: TOKEN });
  const broken: Record<string, [() => void, RegExp]> = {
    'half copied': [() => truncateSync(file, 200), /a\/1\/model\.onnx: not an ONNX file, or cut short \(200 bytes\)/],
    corrupt: [() => writeFileSync(file, 'no model'), /a\/1\/model\.onnx: not an ONNX file/],
    'of another shape': [
      () => put(models, 'a', '1', { metadata: { imagePx: 9 } }),
      /expected the input image UINT8 \[N, 9, 9, 3\]/,
    ],
    'of too few labels': [
      () => put(models, 'a', '1', { metadata: { labels: QUARTERS.slice(1) } }),
      /expected the output/,
    ],
    missing: [() => rmSync(join(models, 'a'), { recursive: true }), /no model "a" in the repository/],
  };
  for (const [name, [breakIt, reason]] of Object.entries(broken)) {
    breakIt();
    const response = await change(url, 'a', 'load');
    const { error } = (await response.json()) as { error: string };
    assert.ok(response.status === 400 || response.status === 404, `${name}: ${response.status}`);
    assert.match(error, reason, name);
    assert.ok(!error.includes(root), error);
    assert.ok(await isReady(url), name);
    assert.ok(Math.abs((await classify(url)).predictions[0].probability - best(2)) < 1e-3, name);
  }
  assert.match((await index(url))[0].reason, /expected the output/);
  put(models, 'a', '1', { gain: 4 });
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.ok(Math.abs((await classify(url)).predictions[0].probability - best(4)) < 1e-3);
  assert.deepEqual(await index(url), [{ name: 'a', version: '1', state: 'READY', reason: '' }]);
});

test('unloads a model, and loads it again', async () => {
  const models = folder('unloading');
  put(models, 'a', '1');
  put(models, 'b', '1');
  const { url } = await running({ folder: models, adminToken: TOKEN });
  assert.equal((await change(url, 'a', 'unload')).status, 200);
  const gone = await classify(url, '?model=a');
  assert.deepEqual([gone.status, gone.error.code], [404, 'MODEL_NOT_FOUND']);
  assert.equal((await classify(url)).model.name, 'b');
  assert.ok(await isReady(url));
  assert.deepEqual((await index(url))[0], { name: 'a', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.doesNotMatch(metrics, /alexnet_model_info\{model="a"/);
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.equal((await classify(url, '?model=a')).status, 200);
  assert.equal((await change(url, 'nobody', 'unload')).status, 404);
  assert.equal((await change(url, '..%2fa', 'load')).status, 404);
});

test('reloads single files', async () => {
  const file = put(folder('file'), 'x', '1', { gain: 1 });
  const { url } = await running({ file, adminToken: TOKEN });
  put(join(root, 'file'), 'x', '1', { gain: 3 });
  assert.equal((await change(url, 'quarters', 'load')).status, 200);
  assert.ok(Math.abs((await classify(url)).predictions[0].probability - best(3)) < 1e-3);
});

test('reloads a model of which only the weights or the labels next to its file were replaced', async () => {
  const models = folder('beside');
  mkdirSync(join(models, 'pair', '1'), { recursive: true });
  const pair = writeTinyPair(join(models, 'pair', '1', 'model.onnx'), 1);
  put(models, 'named', '1', { metadata: null, float: true, logits: true });
  const labels = join(models, 'named', 'labels.txt');
  writeFileSync(join(models, 'named', 'config.json'), '{"labels": "labels.txt"}');
  writeFileSync(labels, 'a\nb\nc\nd\n');
  const { url } = await running({ folder: models, adminToken: TOKEN });
  assert.equal((await classify(url, '?model=named')).predictions[0].label, 'c');
  assert.ok(Math.abs((await classify(url, '?model=pair')).predictions[0].probability - best(1)) < 1e-3);
  writeFileSync(labels, 'a\nb\nother\nd\n');
  const { mtime, atime } = statSync(pair);
  writeTinyPair(pair, 3);
  utimesSync(pair, atime, mtime);
  for (const name of ['named', 'pair']) assert.equal((await change(url, name, 'load')).status, 200);
  assert.equal((await classify(url, '?model=named')).predictions[0].label, 'other');
  assert.ok(Math.abs((await classify(url, '?model=pair')).predictions[0].probability - best(3)) < 1e-3);
});

test('a process that restarts on another file answers, and shows views, of that one; putting the old one back is a change', async () => {
  const models = folder('rolled-back');
  mkdirSync(join(models, 'a', '1'), { recursive: true });
  const file = writeTinyPair(join(models, 'a', '1', 'model.onnx'), 1);
  const { url } = await running({ folder: models, adminToken: TOKEN });
  const views = async () => (await fetch(`${url}/explain/layers`)).status;
  const probability = async () => (await classify(url)).predictions[0].probability;
  const isOf = async (gain: number) => Math.abs((await probability()) - best(gain)) < 1e-3;
  assert.deepEqual([await views(), await isOf(1)], [200, true]);
  for (const name of ['model.onnx', 'weights.bin']) renameSync(join(file, '..', name), join(models, name));
  writeTinyPair(file, 3);
  assert.equal(await views(), 404); // of weights that do not classify
  const [{ workers }] = (await (await fetch(`${url}/models/a`)).json()) as { workers: { pid: number }[] }[];
  process.kill(workers[0].pid, 'SIGKILL');
  await until(() => isOf(3));
  assert.equal(await views(), 200);
  for (const name of ['model.onnx', 'weights.bin']) renameSync(join(models, name), join(file, '..', name));
  assert.deepEqual([await views(), await isOf(3)], [404, true]);
  assert.equal((await change(url, 'a', 'load')).status, 200);
  assert.deepEqual([await views(), await isOf(1)], [200, true]);
});

test('asks for the token, and refuses models sent with the request', async () => {
  const { url } = await running({ folder: join(root, 'unloading'), adminToken: TOKEN });
  for (const token of ['', 'wrong', `${TOKEN}x`]) {
    const response = await change(url, 'a', 'unload', token);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('www-authenticate'), 'Bearer');
  }
  const response = await fetch(`${url}/v2/repository/models/a/load`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ parameters: { 'file:1/model.onnx': 'AAAA' } }),
  });
  assert.equal(response.status, 400);
  assert.equal((await classify(url, '?model=a')).status, 200);
});

test('does not start on an empty folder, on two models of one name, or with a weak token', async () => {
  const empty = folder('empty');
  const twice = folder('twice');
  const one = put(twice, 'x', '1');
  const two = put(twice, 'y', '1');
  const cases: [string[], number, RegExp][] = [
    [
      ['--models', empty],
      1,
      /expected models as <name>\/<version>\/model\.onnx, e\.g\. alexnet\/1\/model\.onnx, got none/,
    ],
    [['--models', join(root, 'nowhere')], 1, /the folder of models cannot be read \(ENOENT\)/],
    [['--model', one, two], 1, /are both named quarters/],
    [['--model', one, '--admin'], 2, /expected a token of at least 16 characters in ALEXNET_ADMIN_TOKEN, got 0/],
  ];
  for (const [words, code, message] of cases) {
    const ended = await alexnet('serve', '--port', '0', '--provider', 'cpu', ...words);
    assert.equal(ended.code, code, words.join(' '));
    assert.match(ended.stderr, message);
  }
});
