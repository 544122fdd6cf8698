/** `alexnet/serve` in a program of one's own: a classifier without HTTP, and the routes in another application. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import express from 'express';
import sharp from 'sharp';
import { tf } from '../../base/tfjs/core.js';
import { buildNetwork, exportOnnx, loadClassifier, saveModel } from '../../index.js';
import {
  type ClassifierRouter,
  classifierRouter,
  createServer as createImageServer,
  openClassifier,
  RequestError,
} from '../../serve/index.js';
import { alexnet } from '../real/command.js';
import { corner, order } from './images.js';
import { errorOf, gone, OBEDIENT, post, running, until } from './running.js';
import { QUARTERS, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-library-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const images = await Promise.all([0, 1, 2, 3].map((quarter) => corner(quarter).png().toBuffer()));
const path = join(folder, 'corner.png');
writeFileSync(path, images[2]);
const provider = 'cpu';

for (const inProcess of [false, true]) {
  const where = inProcess ? 'in this process' : 'in a process of its own';
  test(`openClassifier ${where} gives the server’s answers, for bytes and paths`, async () => {
    const { url } = await running({ file });
    const served = (await (await post(url, images[2])).json()) as { predictions: object[] };
    const classifier = await openClassifier({ file, provider, inProcess });
    assert.deepEqual([classifier.model.labels, classifier.provider], [QUARTERS, 'cpu']);
    for (const image of [images[2], new Uint8Array(images[2]), path, pathToFileURL(path)]) {
      const { predictions, timings } = await classifier.classify(image);
      assert.deepEqual(JSON.parse(JSON.stringify(predictions)), served.predictions);
      assert.ok(timings.total >= timings.inference);
    }
    assert.equal((await classifier.classify(path, { top: 2 })).predictions.length, 2);
    assert.equal((await classifier.classify(path, { top: 1000 })).predictions.length, 4);
    const many = await Promise.all(Array.from({ length: 50 }, (_, i) => classifier.classify(images[i % 4])));
    assert.deepEqual(
      many.map(({ predictions }) => predictions[0].index),
      Array.from({ length: 50 }, (_, i) => i % 4),
    );
    const refused: [Promise<unknown>, string][] = [
      [classifier.classify(Buffer.from('no image')), 'UNSUPPORTED_IMAGE_TYPE'],
      [classifier.classify(images[0].subarray(0, 60)), 'INVALID_IMAGE'],
      [classifier.classify(images[0], { top: 0 }), 'INVALID_TOP'],
      [classifier.classify(images[0], { top: 1.5 }), 'INVALID_TOP'],
    ];
    for (const [answer, code] of refused)
      await assert.rejects(answer, (error) => error instanceof RequestError && error.code === code);
    await assert.rejects(classifier.classify(new Uint8Array()), {
      code: 'EMPTY_BODY',
      message: /^the image is empty; expected the bytes of a .* image$/,
    });
    await assert.rejects(classifier.classify(join(folder, 'none.png')), {
      code: 'ENOENT',
      message: `${join(folder, 'none.png')}: no such file; expected an image`,
    });
    const last = classifier.classify(images[3]);
    await classifier.close();
    assert.equal((await last).predictions[0].index, 3);
    await assert.rejects(classifier.classify(images[0]), /closed/);
    await classifier.close();
  });
}

test('openClassifier infers elsewhere: this event loop turns meanwhile, and close ends the other process', async () => {
  const classifier = await openClassifier({ file: 'none', inferenceModule: OBEDIENT });
  const { predictions } = await classifier.classify(order('pid'), { top: 1 });
  assert.notEqual(predictions[0].probability, process.pid);
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  await classifier.classify(order('sleep 200'));
  clearInterval(timer);
  assert.ok(turns > 3, `${turns} turns`);
  await classifier.close();
  await until(() => gone(Math.round(predictions[0].probability)) || gone(predictions[0].probability));
});

test('openClassifier gives up with the caller’s signal, and says what cannot be loaded', async () => {
  const classifier = await openClassifier({ file: 'none', inferenceModule: OBEDIENT });
  const controller = new AbortController();
  const work = [order('sleep 100'), order('count')].map((image) =>
    classifier.classify(image, { top: 1, signal: controller.signal }),
  );
  controller.abort(new Error('enough'));
  for (const each of work) await assert.rejects(each, /enough/);
  await classifier.close();
  await assert.rejects(openClassifier({ file: join(folder, 'none.onnx') }), /none\.onnx: no such file/);
});

test('a signal ends the wait at once, wherever in the line, and one may be for many images', async () => {
  const classifier = await openClassifier({ file: 'none', inferenceModule: OBEDIENT });
  const warnings: Error[] = [];
  process.on('warning', (warning) => warnings.push(warning));
  const pid = (await classifier.classify(order('pid'))).predictions[0].probability;
  const controller = new AbortController();
  const { signal } = controller;
  const hanging = classifier.classify(order('hang'), { signal });
  const waiting = Array.from({ length: 100 }, () => classifier.classify(order('count'), { signal }));
  const given = Promise.allSettled([hanging, ...waiting]);
  const late = classifier.classify(order('count'), { signal: AbortSignal.abort(new Error('late')) });
  await assert.rejects(late, /late/);
  controller.abort(new Error('enough'));
  for (const each of await given) assert.equal(each.status === 'rejected' && each.reason.message, 'enough');
  assert.deepEqual(warnings, []);
  process.kill(pid, 'SIGKILL');
  await classifier.close();
});

test('the labels of a classifier are those of the file that its process has loaded, also after a restart', async () => {
  const replaced = join(folder, 'replaced');
  writeFileSync(replaced, 'cat');
  const classifier = await openClassifier({ file: replaced, inferenceModule: OBEDIENT });
  const labels = async (command: string) =>
    (await classifier.classify(order(command))).predictions.map(({ label }) => label).sort();
  assert.deepEqual(await labels('count'), ['cat', 'result']);
  writeFileSync(replaced, 'dog');
  await labels(`die unless ${join(folder, 'died')}`).catch(() => undefined);
  assert.deepEqual(await labels('count'), ['dog', 'result']);
  assert.deepEqual(classifier.model.labels, ['result', 'dog']);
  await classifier.close();
});

test('a program may ask for more images than files may be open', async () => {
  const serve = pathToFileURL(join(import.meta.dirname, '../../serve/index.js')).href;
  const program = `
    const { openClassifier } = await import('${serve}');
    const classifier = await openClassifier(${JSON.stringify({ file, provider })});
    const all = await Promise.all(Array.from({ length: 1000 }, () => classifier.classify(${JSON.stringify(path)})));
    console.log(all.length);
    await classifier.close();`;
  const few = ['-c', 'ulimit -n 160 && exec "$0" --input-type=module --eval "$1"', process.execPath, program];
  assert.equal((await promisify(execFile)('sh', few)).stdout, '1000\n');
});

test('options out of range are refused by name before anything starts', async () => {
  const cases: [object, string][] = [
    [{ file: undefined }, 'file: expected the path of a .onnx file, got undefined'],
    [{ file: '' }, 'file: expected the path of a .onnx file, got ""'],
    [{ provider: 'gpu' }, 'provider: expected one of auto, cpu, webgpu, cuda, got "gpu"'],
    [{ threads: 0 }, 'threads: expected a whole number, 1 to 1024, got 0'],
    [{ replicas: 1.5 }, 'replicas: expected a whole number, 1 to 64, got 1.5'],
    [{ batch: 0 }, 'batch: expected a whole number, 1 to 256, got 0'],
    [{ maxPixels: 0 }, 'maxPixels: expected a number, 1 or more, got 0'],
    [{ cacheBytes: -1 }, 'cacheBytes: expected a whole number, 0 or more, got -1'],
    [{ timeoutMs: Infinity }, 'timeoutMs: expected milliseconds, up to 2000000000, got Infinity'],
  ];
  const refusal = (message: string) => ({ name: 'OptionError', message });
  for (const [wrong, message] of cases) {
    const options = { file, ...wrong };
    for (const inProcess of [false, true])
      await assert.rejects(openClassifier({ ...options, inProcess }), refusal(message));
    if (options.file !== undefined) assert.throws(() => classifierRouter(options), refusal(message));
    const { file: one, ...rest } = options;
    if (one !== undefined) assert.throws(() => createImageServer({ files: [one], ...rest }), refusal(message));
  }
  const none = refusal('files: expected paths of .onnx files, or a folder of models as "folder", got neither');
  assert.throws(() => classifierRouter({}), none);
  assert.throws(() => createImageServer({}), none);
  createImageServer({ files: [file], helperMemory: 0.5e9 / 3, maxPixels: Infinity, keepAliveMs: 0, viewIdleMs: 0 });
});

test('what is neither bytes nor a path is refused as that', async () => {
  const classifier = await openClassifier({ file: 'none', inferenceModule: OBEDIENT });
  const buffer = new ArrayBuffer(8) as unknown as Uint8Array;
  const message = 'image: expected the bytes of one as a Uint8Array, or a path, got ArrayBuffer';
  await assert.rejects(classifier.classify(buffer), { name: 'TypeError', message });
  await classifier.close();
});

/** Closed with the test file. */
async function listening(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function ready(router: ClassifierRouter): Promise<ClassifierRouter> {
  after(() => router.close());
  await router.ready;
  return router;
}

test('classifierRouter answers under its place in an Express application, and leaves the rest to that', async () => {
  const vision = await ready(classifierRouter({ file, provider }));
  const app = express();
  app.use('/deep/vision', vision);
  app.use(express.json());
  app.use((request, response) => void response.status(418).json({ of: 'the application', path: request.originalUrl }));
  const url = `${await listening(app)}/deep/vision`;
  const { predictions } = (await (await post(url, images[2])).json()) as { predictions: { label: string }[] };
  assert.equal(predictions[0].label, 'bottom left');
  assert.equal((await fetch(`${url}/v2/health/ready`)).status, 200);
  const page = await fetch(url);
  assert.deepEqual([page.status, page.url], [200, `${url}/`]);
  const [, script] = /src="([^"]+)"/.exec(await page.text())!;
  assert.equal((await fetch(new URL(script, page.url))).status, 200);
  assert.equal((await errorOf(post(url, Buffer.from('no image')))).code, 'UNSUPPORTED_IMAGE_TYPE');
  for (const path of [`${url}/none`, new URL('/classify', url)]) assert.equal((await fetch(path)).status, 418);
  assert.match(await (await fetch(`${url}/metrics`)).text(), /route="\/classify",status="200"/);
});

test('classifierRouter is a handler of node:http, at the root and under a base path', async () => {
  const root = await listening(await ready(classifierRouter({ file, provider })));
  assert.equal((await post(root, images[0])).status, 200);
  assert.equal((await errorOf(fetch(`${root}/none`))).code, 'NOT_FOUND');
  const under = await listening(await ready(classifierRouter({ file, provider, basePath: '/vision' })));
  assert.equal((await post(`${under}/vision`, images[0])).status, 200);
  assert.equal((await errorOf(post(under, images[0]))).code, 'NOT_FOUND');
});

test('classifierRouter behind a parser takes the bytes that it left, and says so where it left none', async () => {
  const lines: string[] = [];
  const vision = await ready(classifierRouter({ file, provider, log: (line) => void lines.push(line) }));
  const raw = await listening(
    express()
      .use(express.raw({ type: () => true }))
      .use('/vision', vision),
  );
  assert.equal((await post(`${raw}/vision`, images[0])).status, 200);
  const json = await listening(express().use(express.json()).use('/vision', vision));
  const headers = { 'content-type': 'application/json' };
  const response = await post(`${json}/vision`, Buffer.from('{"inputs":""}'), headers, '/models/quarters');
  assert.equal(response.status, 500);
  assert.match(lines.join('\n'), /mount classifierRouter before parsers of bodies/);
});

test('classifierRouter answers 503 while it loads and where nothing can be loaded, and says why', async () => {
  const lines: string[] = [];
  const loading = classifierRouter({ file: 'loads for ever', inferenceModule: OBEDIENT });
  loading.ready.catch(() => undefined);
  const url = await listening(loading);
  assert.equal((await errorOf(post(url, order('count')))).code, 'NOT_READY');
  const broken = classifierRouter({ file: join(folder, 'none.onnx'), log: (line) => void lines.push(line) });
  await assert.rejects(broken.ready, /no such file/);
  assert.equal((await errorOf(post(await listening(broken), images[0]))).code, 'MODEL_UNAVAILABLE');
  assert.match(lines.join('\n'), /none\.onnx: no such file/);
  await loading.close();
});

test('a model exported with its description is loaded without a config.json, which counts for it no more', async () => {
  const exported = join(folder, 'described', 'model.onnx');
  mkdirSync(dirname(exported));
  const towards = tf.tensor2d([3, 0, 0, 0, 2, 0, 0, 0, 1], [3, 3]);
  const colours = (x: tf.Tensor) => tf.softmax(tf.matMul(tf.mean(x, [1, 2]) as tf.Tensor2D, towards));
  const labels = ['red', 'green', 'blue'];
  const inputs = [{ name: 'image', shape: [null, 4, 6, 3], dtype: 'float32' as const }];
  const input = { resize: { width: 6, height: 4 }, mean: [0.5, 0.4, 0.3], std: 0.25 };
  await saveModel(await exportOnnx(colours, { inputs, classifier: { labels, input } }), exported);
  writeFileSync(join(folder, 'described', 'config.json'), '{"labels": ["a", "b", "c"]}');
  const classifier = await loadClassifier(exported, { provider });
  const create = { width: 6, height: 4, channels: 3, background: { r: 51, g: 204, b: 102 } } as const;
  const { predictions } = await classifier.classify(await sharp({ create }).png().toBuffer());
  await classifier.close();
  // (0.2, 0.8, 0.4) less the means, times 4: -1.2, 1.6, 0.4; by the matrix -3.6, 3.2, 0.4
  const powers = [Math.exp(-3.6), Math.exp(3.2), Math.exp(0.4)];
  const sum = powers.reduce((a, b) => a + b);
  assert.deepEqual(
    predictions.map(({ label }) => label),
    ['green', 'blue', 'red'],
  );
  for (const { index, probability } of predictions) assert.ok(Math.abs(probability - powers[index] / sum) < 1e-6);
});

test('a network is built by name, with as many classes as it was published with unless told otherwise', async () => {
  assert.equal(buildNetwork('cifar10-quick').countParams(), 145_578);
  const built = join(folder, 'built.onnx');
  const network = buildNetwork('cifar10-quick', { classes: 3 });
  const input = { scale: 1, mean: 120 };
  await saveModel(await exportOnnx(network, { classifier: { labels: ['a', 'b', 'c'], input } }), built);
  const classifier = await loadClassifier(built, { provider });
  assert.equal((await classifier.classify(path)).predictions.length, 3);
  await classifier.close();
  assert.throws(() => buildNetwork('alexnett'), { name: 'UserError', message: /unknown network "alexnett".*alexnet/ });
});

test('a description that does not fit the model is refused when it is exported, and names what does', async () => {
  const inputs = [{ name: 'image', shape: [null, 4, 6, 3], dtype: 'float32' as const }];
  const means = (x: tf.Tensor) => tf.mean(x, [1, 2]);
  const cases: [object, RegExp][] = [
    [
      { labels: ['a', 'b'] },
      /classifier\.labels: expected 3, one for each class of the output output \[N, 3\], got 2$/,
    ],
    [{ synsets: ['n1', 'n2'] }, /classifier\.synsets: expected 3, one for each class, got 2$/],
    [{ crops: 7 }, /classifier: crops: /],
    [
      { input: { mean: [1, 2] } },
      /classifier\.input\.mean: expected a number for each of 3 channels, or one for all, got 2$/,
    ],
    [{ input: { std: [1, 2, 3, 4] } }, /classifier\.input\.std: expected a number for each of 3 channels/],
    [{ input: { std: 0 } }, /classifier: input\.std\.0: expected a number other than 0/],
    [
      { input: { size: 6 } },
      /classifier\.input\.size: expected that of the input image \[N, 4, 6, 3\], got 6 × 6 pixels$/,
    ],
    [
      { input: { resize: { width: 6, height: 3 } } },
      /input\.resize: expected at least the 6 × 4 pixels of the input, got /,
    ],
    [{ input: { channels: 'GREY' } }, /input\.channels: expected those of the input .*, got GREY, which has 1$/],
    [{ input: { channel: 'RGB' } }, /classifier: input: .*channel/],
    [{ output: { name: 'probs' } }, /classifier\.output\.name: expected output, got probs$/],
  ];
  for (const [classifier, message] of cases)
    await assert.rejects(exportOnnx(means, { inputs, classifier }), { name: 'UserError', message });
  const flat = [{ name: 'x', shape: [null, 3], dtype: 'float32' as const }];
  await assert.rejects(
    exportOnnx((x) => tf.relu(x), { inputs: flat, classifier: {} }),
    /classifier: expected a model of one/,
  );
  const fitting = {
    labels: ['a', 'b', 'c'],
    input: { size: { width: 6, height: 4 }, resize: 4, mean: [1, 2, 3], std: [2, 2, 2, 2] },
  };
  await exportOnnx(means, { inputs, classifier: fitting });
});

test('a description in a file that describes no classifier is refused by name', async () => {
  const exported = join(folder, 'wrong.onnx');
  const inputs = [{ name: 'image', shape: [null, 4, 6, 3], dtype: 'float32' as const }];
  const classifier = { labels: ['a', 'b', 'c'], crops: 7 as 5 };
  const metadataOf = (description: object) => ({ metadata: { classifier: JSON.stringify(description) } });
  await saveModel(await exportOnnx((x) => tf.mean(x, [1, 2]), { inputs, ...metadataOf(classifier) }), exported);
  await assert.rejects(loadClassifier(exported, { provider }), /wrong\.onnx: metadata "classifier": crops: /);
  const few = { inputs, ...metadataOf({ labels: ['a', 'b'] }) };
  await saveModel(await exportOnnx((x) => tf.mean(x, [1, 2]), few), exported);
  await assert.rejects(
    loadClassifier(exported, { provider }),
    /wrong\.onnx: its metadata "classifier" has 2 labels for the output/,
  );
});

test('an option that cannot be used is named as a program writes it, and a flag as a person does', async () => {
  const expected = 'expected a path such as /vision, of letters, digits and "._~-", got "vision"';
  assert.throws(() => classifierRouter({ file, provider, basePath: 'vision' }), { message: `basePath: ${expected}` });
  const { code, stderr } = await alexnet('serve', '--model', file, '--base-path', 'vision');
  assert.deepEqual([code, stderr], [2, `alexnet serve: --base-path: ${expected}\n`]);
});
