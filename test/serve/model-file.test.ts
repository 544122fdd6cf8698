import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UserError } from '../../base/errors.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { readModelFile } from '../../serve/inference/model/model-file.js';
import { alexnet } from './running.js';
import { METADATA, QUARTERS, type TinyModel, tinyModel, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-model-file-'));
after(() => rmSync(folder, { recursive: true }));

function written(bytes: Uint8Array | string): string {
  const file = join(folder, `${Math.random()}.onnx`);
  writeFileSync(file, bytes);
  return file;
}

async function refuses(file: string, message: RegExp): Promise<void> {
  await assert.rejects(readModelFile(file), (error: Error) => {
    assert.ok(error instanceof UserError, `${error.stack}`);
    assert.ok(error.message.startsWith(`${file}: `), error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('reads labels, geometry and name of a classifier', async () => {
  const { classifier, recipe, cropsInside, name } = await readModelFile(writeTinyModel(join(folder, 'tiny.onnx')));
  assert.deepEqual(classifier, {
    labels: QUARTERS,
    synsets: METADATA.synsets,
    cropPx: 8,
    input: { name: 'image', datatype: 'UINT8', shape: [-1, 8, 8, 3] },
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 4] }],
  });
  assert.deepEqual(
    [recipe.decoding.width, recipe.input.width, recipe.crops, cropsInside, name],
    [8, 8, 1, 1, 'quarters'],
  );
});

test('names a model that has no name after its file', async () => {
  const file = writeTinyModel(join(folder, 'cats.onnx'), { metadata: { model: undefined } });
  assert.equal((await readModelFile(file)).name, 'cats');
});

test('reads a file that describes itself whatever the config.json next to it is about', async () => {
  const run = mkdtempSync(join(folder, 'run-'));
  const file = writeTinyModel(join(run, 'model.onnx'));
  writeFileSync(join(run, 'config.json'), JSON.stringify({ epochs: 3 }));
  assert.deepEqual((await readModelFile(file)).classifier.labels, QUARTERS);
  const input = { resize: 8 };
  writeFileSync(join(run, 'config.json'), JSON.stringify({ labels: ['a', 'b', 'c', 'd'], input }));
  assert.deepEqual((await readModelFile(file)).classifier.labels, ['a', 'b', 'c', 'd']);
  const own = { ...onnx.ModelProto.decode(tinyModel()), producerName: 'alexnet' };
  writeFileSync(file, onnx.ModelProto.encode(own).finish());
  const { classifier, notes } = await readModelFile(file);
  assert.deepEqual(classifier.labels, QUARTERS);
  assert.deepEqual(notes, ['config.json next to it is not used: the file describes itself']);
});

const whole = tinyModel();
const FILES: Record<string, [Uint8Array | string, RegExp]> = {
  'an empty file': ['', /not an ONNX file \(0 bytes hold no graph\)/],
  'a text file': ['Hello, this is not a model at all.\n', /not an ONNX file/],
  'an image': [Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46]), /not an ONNX file/],
  'a file cut in the middle': [whole.subarray(0, whole.length / 2), /not an ONNX file, or cut short \(\d+ bytes\)/],
  'a file cut by one byte': [whole.subarray(0, -1), /not an ONNX file, or cut short/],
};
for (const [name, [bytes, message]] of Object.entries(FILES)) {
  test(`refuses ${name}`, () => refuses(written(bytes), message));
}

const MODELS: Record<string, [TinyModel, RegExp]> = {
  'a model without metadata or description': [
    { metadata: null },
    /does not say how images become its input; put a config\.json next to it/,
  ],
  'a model with another head than its metadata': [
    { metadata: { head: 'tensor' } },
    /expected the input input FP32 \[N, 3, 8, 8\], got image UINT8 \[N, 8, 8, 3\]/,
  ],
  'a model that takes something else': [
    { inputName: 'data' },
    /expected the input image UINT8 \[N, 8, 8, 3\], got data UINT8 \[N, 8, 8, 3\]/,
  ],
  'a model with other geometry than its metadata': [
    { metadata: { imagePx: 9 } },
    /expected the input image UINT8 \[N, 9, 9, 3\], got image UINT8 \[N, 8, 8, 3\]/,
  ],
  'a model with a label too few': [
    { metadata: { labels: QUARTERS.slice(1) } },
    /expected the output probabilities FP32 \[N, 3\], got probabilities FP32 \[N, 4\]/,
  ],
  'a model with a synset too few': [{ metadata: { synsets: ['n01'] } }, /metadata has 4 labels and 1 synsets/],
};
for (const [name, [model, message]] of Object.entries(MODELS)) {
  test(`refuses ${name}`, () => refuses(written(tinyModel(model)), message));
}

test('refuses a file that is not there, and a folder', async () => {
  await refuses(join(folder, 'none.onnx'), /no such file; expected a \.onnx file/);
  await refuses(folder, /is a folder/);
});

test('serve ends with 1 and one clear line, no stack, on a file that is not a classifier', async () => {
  const file = written(whole.subarray(0, 200));
  const { ended, line, stderr } = alexnet('serve', '--model', file, '--port', '0');
  assert.equal(await ended, 1);
  assert.equal(await line, '');
  assert.equal(
    stderr().trim(),
    `alexnet serve: ${file}: not an ONNX file, or cut short (200 bytes); export or copy it again`,
  );
});

test('reads tensors from the file next to a model, and nowhere else', async () => {
  const file = join(folder, 'outside.onnx');
  const model = onnx.ModelProto.decode(tinyModel());
  const tensor = model.graph!.initializer![0];
  const values = Uint8Array.from(tensor.rawData!);
  const outside = (location: string, length = values.length) => {
    const externalData = Object.entries({ location, offset: 5, length }).map(([key, value]) => ({
      key,
      value: `${value}`,
    }));
    const { name, dims, dataType } = tensor;
    const initializer = [
      { name, dims, dataType, dataLocation: 1, externalData },
      ...model.graph!.initializer!.slice(1),
    ];
    const graph = { ...model.graph, initializer };
    writeFileSync(file, onnx.ModelProto.encode({ ...model, graph }).finish());
  };
  outside('outside.onnx.data');
  await refuses(file, /its numbers are in .*outside\.onnx\.data, which cannot be read \(ENOENT\)/);
  writeFileSync(`${file}.data`, Buffer.concat([Buffer.alloc(5), values]));
  assert.equal((await readModelFile(file)).classifier.labels.length, 4);
  outside('outside.onnx.data', values.length + 1);
  await refuses(file, /is cut short: expected at least \d+ bytes, got \d+/);
  for (const location of ['../secret', '/etc/passwd', '']) {
    outside(location);
    await refuses(file, /expected external data inside the folder of the model/);
  }
});
