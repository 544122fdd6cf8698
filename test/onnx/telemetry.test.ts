import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { corner } from '../serve/images.js';
import { CLI, post, start } from '../serve/running.js';
import { writeTinyModel } from '../serve/tiny-model.js';
import { plainPng, temporaryFolder, writeFiles } from '../train/data/tiny-images.js';

const DIST = fileURLToPath(new URL('../../', import.meta.url));

/** What a person's shell hands on who has not heard of the variable. */
const { ORT_DISABLE_TELEMETRY: _, XDG_CACHE_HOME: __, ...ENV } = process.env;

/** Runs Node to its end in a home folder of its own. @returns what lies in that folder then */
async function leftInHome(t: TestContext, words: string[]): Promise<string[]> {
  const home = await temporaryFolder(t);
  await promisify(execFile)(process.execPath, words, { env: { ...ENV, HOME: home, USERPROFILE: home } });
  return readdir(home, { recursive: true });
}

/** Makes a session through a public module. */
const PROGRAM = `import('${new URL('../../onnx/backend/index.js', import.meta.url)}').then((backend) => backend.checkProvider());`;

const image = await corner(0).png().toBuffer();

describe('onnxruntime sends and keeps no telemetry', { concurrency: true }, () => {
  it('in alexnet train and alexnet export', async (t) => {
    const [red, blue] = await Promise.all([plainPng(200, 0, 0), plainPng(0, 0, 200)]);
    const data = await writeFiles(t, {
      'train/red/1.png': red,
      'train/blue/2.png': blue,
      'val/red/3.png': red,
      'val/blue/4.png': blue,
    });
    const run = join(data, 'run');
    const train = ['train', '--data', data, '--model', 'cifar10-quick', '--backend', 'onnxruntime', '--out', run];
    assert.deepEqual(await leftInHome(t, [CLI, ...train, '--batch', '2', '--epochs', '1']), []);
    assert.deepEqual(await leftInHome(t, [CLI, 'export', '--run', run, '--out', join(data, 'model.onnx')]), []);
  });

  it('in alexnet classify', async (t) => {
    const folder = await writeFiles(t, { 'corner.png': image });
    const file = writeTinyModel(join(folder, 'tiny.onnx'));
    assert.deepEqual(await leftInHome(t, [CLI, 'classify', '--model', file, join(folder, 'corner.png')]), []);
  });

  it('in alexnet serve, whose inference process loads it', async (t) => {
    const home = await temporaryFolder(t);
    const file = writeTinyModel(join(await temporaryFolder(t), 'tiny.onnx'));
    const env = { ...ENV, HOME: home, USERPROFILE: home };
    const server = start(process.execPath, [CLI, 'serve', '--model', file, '--port', '0'], { env });
    const { url } = JSON.parse(await server.line) as { url: string };
    assert.equal((await post(url, image)).status, 200);
    server.process.kill('SIGTERM');
    assert.equal(await server.ended, 0);
    assert.deepEqual(await readdir(home), []);
  });

  it('in programs that import alexnet/backend, in worker threads too', async (t) => {
    const inWorker = `new (require('node:worker_threads').Worker)(${JSON.stringify(PROGRAM)}, { eval: true });`;
    for (const program of [PROGRAM, inWorker]) assert.deepEqual(await leftInHome(t, ['--eval', program]), []);
  });

  it('unless ORT_DISABLE_TELEMETRY is set already: it is left as it is', async (t) => {
    const program = `${PROGRAM.slice(0, -1)}.then(() => console.log(process.env.ORT_DISABLE_TELEMETRY));`;
    const env = { ...ENV, ORT_DISABLE_TELEMETRY: 'mine', HOME: await temporaryFolder(t) };
    const { stdout } = await promisify(execFile)(process.execPath, ['--eval', program], { env });
    assert.equal(stdout, 'mine\n');
    const empty = { ...env, ORT_DISABLE_TELEMETRY: '', HOME: await temporaryFolder(t) };
    assert.equal((await promisify(execFile)(process.execPath, ['--eval', program], { env: empty })).stdout, '1\n');
    assert.deepEqual(await readdir(empty.HOME), []);
  });

  it('since one module alone loads it', async () => {
    const files = (await readdir(DIST, { recursive: true })).filter((file) =>
      /^(base|model|onnx|train|export|serve|cli)\b.*\.js$/.test(file),
    );
    const loading: string[] = [];
    for (const file of files) {
      const text = await readFile(join(DIST, file), 'utf8');
      if (/(from |import\(|import |require\()['"]onnxruntime-node['"]/.test(text)) loading.push(file);
    }
    assert.deepEqual(loading.sort(), [join('onnx', 'load-onnxruntime.js'), join('onnx', 'onnxruntime.js')]);
  });
});
