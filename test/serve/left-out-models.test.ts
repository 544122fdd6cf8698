/** Repositories in which something is wrong: what cannot be loaded is left out, and everybody who asks learns why. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import onnxProto from 'onnx-proto';
import { corner } from './images.js';
import { alexnet, errorOf, post, running } from './running.js';
import { type TinyModel, tinyModel } from './tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-left-out-'));
after(() => rmSync(root, { recursive: true }));
const TOKEN = 'a token of the tests';
const cornerPng = await corner(2).png().toBuffer();

/** A file of another tool, to be described by a config.json. */
const FOREIGN: TinyModel = { metadata: null, float: true, logits: true };

function folder(...parts: string[]): string {
  const made = join(root, ...parts);
  mkdirSync(made, { recursive: true });
  return made;
}

function put(bytes: Uint8Array | string, ...parts: string[]): string {
  const file = join(folder(...parts.slice(0, -1)), parts.at(-1)!);
  writeFileSync(file, bytes);
  return file;
}

/** Nobody writes to it: opening it would wait for ever. */
function pipe(...parts: string[]): string {
  const file = join(folder(...parts.slice(0, -1)), parts.at(-1)!);
  execFileSync('mkfifo', [file]);
  return file;
}

const json = async (url: string, path: string, method = 'GET') => (await fetch(url + path, { method })).json();
interface Entry {
  name: string;
  version: string;
  state: string;
  reason: string;
}
const index = async (url: string) => (await json(url, '/v2/repository/index', 'POST')) as Entry[];
const load = (url: string, model: string) =>
  fetch(`${url}/v2/repository/models/${model}/load`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
  });

/** A good model, and one of each kind that is not; with the reason that clients learn. */
function brokenRepository(): { models: string; reasons: Record<string, RegExp> } {
  const models = folder('broken');
  put(tinyModel(), 'broken', 'good', '1', 'model.onnx');
  put('no model', 'broken', 'corrupt', '1', 'model.onnx');
  put(tinyModel(FOREIGN), 'broken', 'undescribed', '1', 'model.onnx');
  put(tinyModel(FOREIGN), 'broken', 'misdescribed', '1', 'model.onnx');
  put('{"labels": ', 'broken', 'misdescribed', 'config.json');
  symlinkSync(join(root, 'nowhere'), join(models, 'dangling'));
  symlinkSync(join(root, 'nowhere.onnx'), join(folder('broken', 'dangling-file', '1'), 'model.onnx'));
  symlinkSync('endless', join(models, 'endless'));
  symlinkSync(put('no model at all', 'README.md'), join(models, 'README.md'));
  folder('broken', 'folder-for-a-file', '1', 'model.onnx');
  symlinkSync(join(root, 'nowhere'), join(folder('broken', 'dangling-version'), '1'));
  folder('broken', 'empty-version', '1');
  pipe('broken', 'pipe', '1', 'model.onnx');
  put(tinyModel(FOREIGN), 'broken', 'config-pipe', '1', 'model.onnx');
  pipe('broken', 'config-pipe', 'config.json');
  put(tinyModel(FOREIGN), 'broken', 'labels-pipe', '1', 'model.onnx');
  put('{"labels": "labels.txt"}', 'broken', 'labels-pipe', 'config.json');
  pipe('broken', 'labels-pipe', 'labels.txt');
  put(tinyModel(FOREIGN), 'broken', 'device', '1', 'model.onnx');
  symlinkSync('/dev/zero', join(folder('broken', 'device'), 'config.json'));
  folder('broken', 'no-version', 'notes');
  return {
    models,
    reasons: {
      corrupt: /^corrupt\/1\/model\.onnx: not an ONNX file/,
      undescribed: /^undescribed\/1\/model\.onnx: does not say how/,
      misdescribed: /^misdescribed\/config\.json: cannot be read as JSON/,
      dangling: /^dangling: is a link that leads to no file \(ENOENT\)/,
      'dangling-file': /^dangling-file\/1\/model\.onnx: is a link that leads to no file/,
      endless: /^endless: is a link that leads to no file \(ELOOP\)/,
      'folder-for-a-file': /^folder-for-a-file\/1\/model\.onnx: is a folder/,
      'dangling-version': /^dangling-version\/1: is a link that leads to no folder \(ENOENT\)/,
      'empty-version': /^empty-version\/1: holds no model\.onnx/,
      pipe: /^pipe\/1\/model\.onnx: is not a file but a named pipe/,
      'config-pipe': /^config-pipe\/config\.json: is not a file but a named pipe/,
      'labels-pipe': /^labels-pipe\/labels\.txt: is not a file but a named pipe/,
      device: /^device\/config\.json: is a link out of broken;/,
      'no-version': /^no-version: holds no <version>\/model\.onnx with a whole number for <version>/,
    },
  };
}
const { models, reasons } = brokenRepository();
const log: string[] = [];
const { url } = await running({ folder: models, adminToken: TOKEN, log: (line) => log.push(line) });

test('models that cannot be loaded are left out with a line each, and the others answer', async () => {
  assert.equal((await post(url, cornerPng)).status, 200); // no need to name the only one that is left
  assert.equal((await fetch(`${url}/v2/health/ready`)).status, 200);
  for (const name of Object.keys(reasons)) {
    const lines = log.filter((line) => line.startsWith(`model "${name}"`));
    assert.equal(lines.length, 1, `${name}: ${lines}`);
    assert.match(lines[0], /: left out: /);
    assert.ok(!lines[0].includes('\n'));
  }
});

test('the index, the metrics and the page list them as unavailable, with the reason and no path of the server', async () => {
  const entries = new Map((await index(url)).map((entry) => [entry.name, entry]));
  assert.deepEqual(entries.get('good'), { name: 'good', version: '1', state: 'READY', reason: '' });
  const { left_out } = (await json(url, '/explain/stats')) as { left_out: Omit<Entry, 'state'>[] };
  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (const [name, reason] of Object.entries(reasons)) {
    const { version, state, reason: given } = entries.get(name)!;
    assert.equal(state, 'UNAVAILABLE', name);
    assert.match(given, reason, name);
    assert.ok(!given.includes(root), given);
    assert.deepEqual(
      left_out.find((each) => each.name === name),
      { name, version, reason: given },
    );
    assert.ok(metrics.includes(`alexnet_model_left_out{model="${name}",version="${version}"} 1`), name);
  }
  assert.equal(entries.size, Object.keys(reasons).length + 1);
  assert.deepEqual(await json(url, '/v2/models'), { models: ['good'] });
});

test('no path of a machine reaches clients in the metadata of a model', async () => {
  for (const dataset of ['/home/me/my images', 'cifar10:/srv/data/my images', 'C:\\Users\\me\\my images']) {
    put(tinyModel({ metadata: { dataset } }), 'paths.onnx');
    const { url, server } = await running({ file: join(root, 'paths.onnx') });
    const text = await (await fetch(`${url}/explain/metadata`)).text();
    server.kill();
    assert.match(text, /my images"/);
    assert.doesNotMatch(text, /home|srv|Users|\bme\b/, text);
  }
});

test('a request for one of them is answered with 503 and the reason, in every protocol', async () => {
  for (const [name, reason] of Object.entries(reasons)) {
    const answers = [
      await post(url, cornerPng, {}, `/classify?model=${name}`),
      await post(url, cornerPng, {}, `/predictions/${name}`),
      await post(url, cornerPng, {}, `/models/${name}`),
      await post(url, cornerPng, { 'Inference-Header-Content-Length': '0' }, `/v2/models/${name}/infer`),
      await fetch(`${url}/v2/models/${name}`),
      await fetch(`${url}/v2/models/${name}/ready`),
      await fetch(`${url}/v2/models/${name}/versions/1/ready`),
      await fetch(`${url}/explain/layers?model=${name}`),
    ];
    for (const answer of answers) {
      const text = await answer.text();
      assert.equal(answer.status, 503, `${answer.url}: ${text}`);
      const { error, message } = JSON.parse(text) as { error?: string | { message: string }; message?: string };
      const said = typeof error === 'object' ? error.message : (error ?? message)!;
      assert.match(said.replace(/^model "[\w-]+"(, version 1)? could not be loaded: /, ''), reason, answer.url);
      assert.ok(!text.includes(root), text);
    }
  }
  const own = await errorOf(post(url, cornerPng, {}, '/classify?model=corrupt'));
  assert.equal(own.code, 'MODEL_UNAVAILABLE');
});

test('one that is repaired answers after it is loaded, without a restart', async () => {
  put(tinyModel(), 'broken', 'corrupt', '1', 'model.onnx');
  put('{"labels": ["a", "b", "c", "d"]}', 'broken', 'misdescribed', 'config.json');
  rmSync(join(models, 'dangling'));
  put(tinyModel(), 'broken', 'dangling', '3', 'model.onnx');
  for (const name of ['corrupt', 'misdescribed', 'dangling']) {
    const response = await load(url, name);
    assert.equal(response.status, 200, await response.text());
    assert.equal((await post(url, cornerPng, {}, `/predictions/${name}`)).status, 200, name);
  }
  const entries = (await index(url)).filter(({ name }) => name === 'dangling');
  assert.deepEqual(entries, [{ name: 'dangling', version: '3', state: 'READY', reason: '' }]);
  const again = await load(url, 'undescribed');
  assert.equal(again.status, 400);
  assert.match(((await again.json()) as { error: string }).error, /undescribed\/1\/model\.onnx: does not say how/);
  rmSync(join(models, 'undescribed', '1'), { recursive: true });
  put(tinyModel(), 'broken', 'undescribed', '2', 'model.onnx');
  assert.equal((await load(url, 'undescribed')).status, 200);
  const states = (await index(url)).filter(({ name }) => name === 'undescribed');
  assert.deepEqual(
    states.map(({ version, state, reason }) => [version, state, reason]),
    [
      ['1', 'UNAVAILABLE', 'no longer in the repository'],
      ['2', 'READY', ''],
    ],
  );
});

test('a broken version is left out, and the one before it is the latest', async () => {
  const versions = folder('versions');
  put(tinyModel(), 'versions', 'a', '1', 'model.onnx');
  put('no model', 'versions', 'a', '2', 'model.onnx');
  const { url } = await running({ folder: versions });
  const { model } = (await (await post(url, cornerPng)).json()) as { model: object };
  assert.deepEqual(model, { name: 'a', version: '1' });
  const error = await errorOf(post(url, cornerPng, {}, '/classify?version=2'));
  assert.deepEqual([error.status, error.code], [503, 'MODEL_UNAVAILABLE']);
  assert.match(error.message, /^model "a", version 2 could not be loaded: a\/2\/model\.onnx: not an ONNX file/);
  assert.match(
    (await errorOf(post(url, cornerPng, {}, '/classify?version=3'))).message,
    /model "a" has no version "3"/,
  );
});

test('a version without a file is left out, and the one before it is the latest, also where only that is served', async () => {
  const models = folder('unfinished');
  put(tinyModel(), 'unfinished', 'a', '1', 'model.onnx');
  symlinkSync(join(root, 'nowhere'), join(models, 'a', '2'));
  folder('unfinished', 'a', '3');
  for (const versions of ['all', 'latest'] as const) {
    const log: string[] = [];
    const { url, server } = await running({
      folder: models,
      versions,
      adminToken: TOKEN,
      log: (line) => log.push(line),
    });
    assert.equal((await post(url, cornerPng)).status, 200);
    assert.deepEqual(
      (await index(url)).map(({ version, state, reason }) => [version, state, reason]),
      [
        ['1', 'READY', ''],
        ['2', 'UNAVAILABLE', 'a/2: is a link that leads to no folder (ENOENT)'],
        ['3', 'UNAVAILABLE', 'a/3: holds no model.onnx'],
      ],
    );
    assert.equal(log.filter((line) => /^model "a", version [23]: left out: /.test(line)).length, 2);
    const response = await load(url, 'a');
    assert.match(((await response.json()) as { error: string }).error, /^model "a", version 2: a\/2: is a link/);
    assert.equal((await post(url, cornerPng)).status, 200);
    server.kill();
  }
});

test('with strict readiness the server answers, and says that it is not ready', async () => {
  const { url } = await running({ folder: join(root, 'versions'), strictReadiness: true });
  const ready = await fetch(`${url}/v2/health/ready`);
  assert.equal(ready.status, 503);
  assert.match(((await ready.json()) as { error: string }).error, /^model "a", version 2 could not be loaded: /);
  assert.equal((await post(url, cornerPng)).status, 200);
});

test('does not start if no model is left, if strict, or if a file given by name is broken', async () => {
  put('no model', 'none', 'a', '1', 'model.onnx');
  put('no model', 'none', 'b', '1', 'model.onnx');
  const file = put('no model', 'broken.onnx');
  const cases: [string[], RegExp][] = [
    [
      ['--models', join(root, 'none')],
      /none of the models can be served:\n {2}model "a", version 1: a\/1\/model\.onnx: not an ONNX file.*\n {2}model "b"/,
    ],
    [
      ['--models', join(root, 'versions'), '--strict'],
      /alexnet serve: \S+versions\/a\/2\/model\.onnx: not an ONNX file/,
    ],
    [['--model', file], /alexnet serve: \S+broken\.onnx: not an ONNX file/],
    [['--models', join(root, 'versions'), '--model', file], /alexnet serve: \S+broken\.onnx: not an ONNX file/],
  ];
  const started = cases.map(([words]) => alexnet('serve', '--port', '0', '--provider', 'cpu', ...words));
  for (const [i, { ended, stderr }] of started.entries()) {
    const [words, message] = cases[i];
    assert.equal(await ended, 1, words.join(' '));
    assert.match(stderr(), message);
  }
});

/** The tiny model with a stored tensor above a megabyte, within the file or in `data` next to it. */
function heavyModel(data?: string): Uint8Array {
  const { onnx } = onnxProto;
  const model = onnx.ModelProto.decode(tinyModel());
  model.producerName = 'alexnet'; // so that it describes itself
  const { node, initializer } = model.graph!;
  const place = { dataLocation: 1, externalData: [{ key: 'location', value: data }] };
  const zeroes = { name: 'zeroes', dims: [300_000], dataType: 1 };
  initializer!.push({ ...zeroes, ...(data === undefined ? { rawData: new Uint8Array(1_200_000) } : place) });
  node!.find(({ opType }) => opType === 'Softmax')!.input = ['moved'];
  const scalar = [{ name: 'keepdims', type: 2, i: 0 }];
  node!.push({ opType: 'ReduceSum', input: ['zeroes'], output: ['zero'], attribute: scalar });
  node!.push({ opType: 'Add', input: ['logits', 'zero'], output: ['moved'] });
  node!.push(
    node!.splice(
      node!.findIndex(({ opType }) => opType === 'Softmax'),
      1,
    )[0],
  );
  return onnx.ModelProto.encode(model).finish();
}

/** A model each for the kinds of files that may be links, all of which lead out of the repository. */
function linkedRepository(): string {
  const store = folder('store');
  const linked = folder('linked');
  put(tinyModel(), 'linked', 'plain', '1', 'model.onnx');
  put('secret of the house\nb\nc\nd\n', 'store', 'secret.txt');
  put('{"labels": ["a", "b", "c", "d"]}', 'store', 'config.json');
  put(heavyModel(), 'store', 'heavy.onnx');
  put(new Uint8Array(1_200_000), 'store', 'weights.bin');
  put(tinyModel(), 'store', 'whole', '1', 'model.onnx');
  put(tinyModel(FOREIGN), 'linked', 'labels', '1', 'model.onnx');
  put('{"labels": "labels.txt"}', 'linked', 'labels', 'config.json');
  symlinkSync(join(store, 'secret.txt'), join(linked, 'labels', 'labels.txt'));
  put(tinyModel(FOREIGN), 'linked', 'config', '1', 'model.onnx');
  symlinkSync(join(store, 'config.json'), join(linked, 'config', 'config.json'));
  symlinkSync(join(store, 'heavy.onnx'), join(folder('linked', 'file', '1'), 'model.onnx'));
  put(heavyModel('weights.bin'), 'linked', 'weights', '1', 'model.onnx');
  symlinkSync(join(store, 'weights.bin'), join(linked, 'weights', '1', 'weights.bin'));
  symlinkSync(join(store, 'whole'), join(linked, 'whole'));
  symlinkSync(join(store, 'whole', '1'), join(folder('linked', 'version'), '1'));
  return linked;
}
const linked = linkedRepository();
const LINKED = ['labels', 'config', 'file', 'weights', 'whole', 'version'];

test('follows no link out of the repository: labels, config, model, weights, folders', async () => {
  const { url } = await running({ folder: linked });
  const entries = (await index(url)).filter(({ state }) => state === 'UNAVAILABLE');
  assert.deepEqual(entries.map(({ name }) => name).sort(), [...LINKED].sort());
  for (const { name, reason } of entries) assert.match(reason, /: is a link out of linked; .* --follow-links/, name);
  assert.ok(!JSON.stringify(entries).includes('secret of the house'));
});

test('follows them if allowed: --follow-links', async () => {
  const { url } = await running({ folder: linked, followLinks: true });
  for (const { name, state, reason } of await index(url)) assert.equal(state, 'READY', `${name}: ${reason}`);
  for (const name of LINKED) {
    assert.equal((await post(url, cornerPng, {}, `/predictions/${name}`)).status, 200, name);
  }
  assert.equal((await post(url, cornerPng, {}, '/explain/picture?model=weights')).status, 200);
  const { predictions } = (await (await post(url, cornerPng, {}, '/classify?model=labels&top=4')).json()) as {
    predictions: { label: string }[];
  };
  assert.ok(predictions.some(({ label }) => label === 'secret of the house'));
});

test('follows links within the repository, as Kubernetes mounts files', async () => {
  const mounted = folder('mounted');
  put(heavyModel(), 'mounted', '..2026_01_01', 'model.onnx');
  symlinkSync('..2026_01_01', join(mounted, '..data'));
  symlinkSync(join('..', '..', '..data', 'model.onnx'), join(folder('mounted', 'a', '1'), 'model.onnx'));
  const log: string[] = [];
  const { url } = await running({ folder: mounted, log: (line) => log.push(line) });
  assert.equal((await post(url, cornerPng)).status, 200);
  assert.ok(!log.some((line) => line.includes('left out')), log.join('\n'));
});

test("takes a file from Hugging Face's cache, in which every file is a link to a blob", async () => {
  const blobs = folder('cache', 'blobs');
  const snapshot = folder('cache', 'snapshots', 'main');
  const files: [string, Uint8Array | string][] = [
    ['model.onnx', tinyModel(FOREIGN)],
    ['config.json', '{"labels": "labels.txt"}'],
    ['labels.txt', 'a\nb\nc\nd\n'],
    ['heavy.onnx', heavyModel('heavy.onnx_data')],
    ['heavy.onnx_data', new Uint8Array(1_200_000)],
  ];
  files.forEach(([name, bytes], i) => {
    put(bytes, 'cache', 'blobs', `blob${i}`);
    symlinkSync(join('..', '..', 'blobs', `blob${i}`), join(snapshot, name));
  });
  assert.equal(readFileSync(join(blobs, 'blob1'), 'utf8'), '{"labels": "labels.txt"}');
  const { url } = await running({ files: [join(snapshot, 'model.onnx'), join(snapshot, 'heavy.onnx')] });
  for (const model of ['model', 'quarters']) {
    const { predictions } = (await (await post(url, cornerPng, {}, `/classify?model=${model}`)).json()) as {
      predictions: { index: number }[];
    };
    assert.equal(predictions[0].index, 2);
  }
});

test('a single file is as careful with what lies next to it', async () => {
  const beside = folder('beside');
  cpSync(join(linked, 'labels', '1', 'model.onnx'), join(beside, 'model.onnx'));
  put('{"labels": "labels.txt"}', 'beside', 'config.json');
  symlinkSync(join(root, 'store', 'secret.txt'), join(beside, 'labels.txt'));
  const image = put(cornerPng, 'corner.png');
  const words = ['classify', '--provider', 'cpu', '--model', join(beside, 'model.onnx'), image];
  const { ended, stderr, line } = alexnet(...words);
  assert.equal(await ended, 1);
  assert.match(stderr(), /labels\.txt: is a link out of \S+beside; copy the file there/);
  assert.ok(!(await line).includes('secret'));
});

test('commands that are given a named pipe, a device or a folder for a file say so and end', async () => {
  const model = put(tinyModel(), 'pipes', 'model.onnx');
  const fifo = pipe('pipes', 'fifo.onnx');
  const cases: [string[], RegExp][] = [
    [['classify', '--json', '--model', model, fifo], /fifo\.onnx: is not a file but a named pipe/],
    [['classify', '--json', '--model', model, '/dev/zero'], /\/dev\/zero: is not a file but a device/],
    [['classify', '--json', '--model', root, 'any.png'], /: is a folder; expected a file/],
    [['classify', '--model', fifo, 'any.png'], /fifo\.onnx: is not a file but a named pipe/],
    [['inspect', fifo], /fifo\.onnx: is not a file but a named pipe/],
    [['prepare', '--data', fifo, '--out', join(root, 'pipes', 'pack')], /fifo\.onnx: is not a file but a named pipe/],
    [
      ['import', fifo, '--model', 'cifar10-quick', '--out', join(root, 'pipes', 'run')],
      /is not a file but a named pipe/,
    ],
  ];
  const started = cases.map(([words]) => alexnet(...words));
  for (const [i, { ended, stderr, line }] of started.entries()) {
    assert.equal(await ended, 1, `${cases[i][0].join(' ')}: ${stderr()}`);
    assert.match(stderr() + (await line), cases[i][1]);
  }
});
