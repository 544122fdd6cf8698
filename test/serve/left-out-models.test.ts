/** Repositories in which something is wrong: what cannot be loaded is left out, and everybody who asks learns why. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { alexnet } from '../real/shared-process.js';
import { corner } from './images.js';
import { type Entry, FOREIGN, folder, index, json, load, pipe, put, root, TOKEN } from './model-folders.js';
import { errorOf, post, running } from './running.js';
import { tinyModel } from './tiny-model.js';

const cornerPng = await corner(2).png().toBuffer();

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
  const dataset = '/home/me/my images';
  const others = { checkpoint: 'cifar10:/srv/data/my images', toolVersion: 'C:\\Users\\me\\my images' }; // any text
  put(tinyModel({ metadata: { dataset, ...others } }), 'paths.onnx');
  const { url } = await running({ file: join(root, 'paths.onnx') });
  const text = await (await fetch(`${url}/explain/metadata`)).text();
  assert.equal(text.match(/my images"/g)?.length, 3);
  assert.doesNotMatch(text, /home|srv|Users|\bme\b/, text);
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
  put(tinyModel(), 'misnamed', 'good', '1', 'model.onnx');
  put(tinyModel(), 'misnamed', 'my model', '1', 'model.onnx');
  mkdirSync(join(root, 'misnamed', 'lost+found'));
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
    [
      ['--models', join(root, 'misnamed'), '--strict'],
      /alexnet serve: \S+misnamed\/my model: names of models are up to 64 letters/,
    ],
    [['--model', file], /alexnet serve: \S+broken\.onnx: not an ONNX file/],
    [['--models', join(root, 'versions'), '--model', file], /alexnet serve: \S+broken\.onnx: not an ONNX file/],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await alexnet('serve', '--port', '0', '--provider', 'cpu', ...words);
    assert.equal(code, 1, words.join(' '));
    assert.match(stderr, message);
  }
});

test('commands that are given a named pipe, a device or a folder for a file say so and end', async () => {
  const model = put(tinyModel(), 'pipes', 'model.onnx');
  const fifo = pipe('pipes', 'fifo.onnx');
  const run = join(root, 'pipes', 'run');
  mkdirSync(join(run, 'last'), { recursive: true });
  writeFileSync(join(run, 'config.json'), '{}');
  const cases: [string[], RegExp][] = [
    [['classify', '--json', '--model', model, fifo], /fifo\.onnx: is not a file but a named pipe/],
    [['classify', '--json', '--model', model, '/dev/zero'], /\/dev\/zero: is not a file but a device/],
    [['classify', '--json', '--model', root, 'any.png'], /: is a folder; expected a file/],
    [
      ['classify', '--model', join(root, 'pipes'), 'any.png'],
      /pipes: is a folder; expected a file, such as .*model\.onnx/,
    ],
    [['inspect', run], /run: is a folder; expected a file; "alexnet export --run .*run" makes one/],
    [['classify', '--model', fifo, 'any.png'], /fifo\.onnx: is not a file but a named pipe/],
    [['inspect', fifo], /fifo\.onnx: is not a file but a named pipe/],
    [['prepare', '--data', fifo, '--out', join(root, 'pipes', 'pack')], /fifo\.onnx: is not a file but a named pipe/],
    [
      ['import', fifo, '--model', 'cifar10-quick', '--out', join(root, 'pipes', 'imported')],
      /is not a file but a named pipe/,
    ],
  ];
  for (const [words, message] of cases) {
    const { code, stdout, stderr } = await alexnet(...words);
    assert.equal(code, 1, `${words.join(' ')}: ${stderr}`);
    assert.match(stderr + stdout, message);
  }
});
