/** Links among the files of a model: which are followed, and what is said of the others. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { corner } from './images.js';
import { FOREIGN, folder, index, put, root } from './model-folders.js';
import { alexnet, post, running } from './running.js';
import { tinyModel } from './tiny-model.js';

const cornerPng = await corner(2).png().toBuffer();

/** The tiny model with a stored tensor above a megabyte, within the file or in `data` next to it. */
function heavyModel(data?: string): Uint8Array {
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
  for (const { name, reason } of entries)
    assert.match(reason, /: is a link out of linked; .* with followLinks \(--follow-links\)/, name);
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
