import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import * as ort from '../../onnx/onnxruntime.js';
import { alexnet, json } from '../real/shared-process.js';
import { type Message, readConfig } from './triton-config.js';

describe('alexnet export --triton', () => {
  let folder: string;
  let run: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-triton-'));
    run = join(folder, 'run');
    for (const path of ['train/red cup', 'train/blue', 'train/green', 'val/red cup', 'val/blue', 'val/green']) {
      await mkdir(join(folder, 'data', path), { recursive: true });
      const background = path.split('/')[1].split(' ')[0];
      await sharp({ create: { width: 40, height: 36, channels: 3, background } })
        .png()
        .toFile(join(folder, 'data', path, '1.png'));
    }
    const words = ['--data', join(folder, 'data'), '--model', 'cifar10-quick', '--out', run, '--epochs', '1'];
    const { code, stderr } = await alexnet('train', ...words);
    assert.equal(code, 0, stderr);
  });
  after(() => rm(folder, { recursive: true }));

  /** What the file itself has, against what the configuration says; Triton leaves the batch axis out. */
  async function checkAgainstFile(model: string, version: number): Promise<Message> {
    const config = readConfig(await readFile(join(model, 'config.pbtxt'), 'utf8'));
    const session = await ort.InferenceSession.create(join(model, String(version), 'model.onnx'));
    for (const [key, metadata] of [
      ['input', session.inputMetadata],
      ['output', session.outputMetadata],
    ] as const) {
      const stated = (config[key] as Message[]).map(({ name, data_type, dims }) => [name, data_type, dims]);
      const types: Record<string, string> = { uint8: 'TYPE_UINT8', float32: 'TYPE_FP32' };
      const found = metadata.map((value) => value.isTensor && [value.name, types[value.type], value.shape.slice(1)]);
      assert.deepEqual(stated, found);
      assert.ok(metadata.every((value) => value.isTensor && typeof value.shape[0] === 'string')); // free: any batch
    }
    await session.release();
    return config;
  }

  it('writes a repository that the schema allows and the file agrees with, and adds versions', async () => {
    const repository = join(folder, 'repository');
    const first = await json<{ file: string; version: number }>('export', '--run', run, '--triton', repository);
    const model = join(repository, 'cifar10-quick');
    assert.deepEqual([first.file, first.version], [join(model, '1', 'model.onnx'), 1]);
    const config = await checkAgainstFile(model, 1);
    assert.equal(config.name, 'cifar10-quick');
    assert.equal(await readFile(join(model, 'labels.txt'), 'utf8'), 'blue\ngreen\nred cup\n');
    const second = await json<{ version: number }>('export', '--run', run, '--triton', repository);
    assert.equal(second.version, 2);
    assert.deepEqual((await readdir(model)).sort(), ['1', '2', 'config.pbtxt', 'labels.txt']);
    assert.equal((await stat(join(model, '2'))).mode & 0o055, 0o055); // another user's Triton reads it
  });

  it('names the model as asked and describes the tensor head', async () => {
    const repository = join(folder, 'tensors');
    await json('export', '--run', run, '--triton', repository, '--name', 'cups', '--head', 'tensor');
    const config = await checkAgainstFile(join(repository, 'cups'), 1);
    assert.equal(config.name, 'cups');
    assert.deepEqual((config.input as Message[])[0].dims, [3, 32, 32]);
  });

  it('keeps labels that somebody edited, and says so', async () => {
    const repository = join(folder, 'edited');
    const words = ['export', '--run', run, '--triton', repository, '--name', 'cups'];
    await json(...words);
    const labels = join(repository, 'cups', 'labels.txt');
    await writeFile(labels, 'blau\ngreen\nred cup\n');
    const { code, stderr } = await alexnet(...words);
    assert.equal(code, 1);
    assert.match(stderr, /edited\/cups\/labels\.txt: not as "alexnet export" writes it, so it is kept; move it away/);
    assert.equal(await readFile(labels, 'utf8'), 'blau\ngreen\nred cup\n');
  });

  it('refuses what does not fit together', async () => {
    const refused = async (message: RegExp, ...words: string[]) => {
      const { code, stderr } = await alexnet('export', ...words);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    };
    await refused(/either --out FILE.onnx or --triton/, '--run', run);
    await refused(/--triton belongs to --run/, '--layers-model', 'model.json', '--triton', folder);
    await refused(/--name, .* belong to --run/, '--layers-model', 'model.json', '--out', 'x.onnx', '--name', 'x');
    await refused(
      /'--name <name>' argument '\.\.\/up' is invalid. Expected up to 64 letters/,
      '--run',
      run,
      '--triton',
      folder,
      '--name',
      '../up',
    );
  });
});
