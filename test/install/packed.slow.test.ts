/**
 * The packed package in a fresh project, as each package manager installs it where only the npm registry can be
 * reached. Needs that registry. ONNXRUNTIME_NODE_INSTALL is unset: on a machine without CUDA a user needs no flag.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readPage } from '../docs/pages.js';
import { corner } from '../serve/images.js';
import { writeTinyModel } from '../serve/tiny-model.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'alexnet-install-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|ONNXRUNTIME_NODE_INSTALL)/i.test(name)),
);
const run = (cwd: string, command: string, ...words: string[]): string =>
  execFileSync(command, words, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 600_000 });

run(ROOT, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder);
const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!);

const MANAGERS: Record<string, readonly string[]> = {
  npm: ['npm', 'install'],
  'npm 10': ['npx', '-y', 'npm@10', 'install'],
  'pnpm 10': ['npx', '-y', 'pnpm@10', 'add'],
  'yarn 1': ['npx', '-y', 'yarn@1', 'add'],
  'yarn 4': ['npx', '-y', '-p', '@yarnpkg/cli-dist@4', 'yarn', 'add'],
};

for (const [name, [command, ...words]] of Object.entries(MANAGERS)) {
  test(`${name} installs the packed package in a fresh project without a flag, and the command runs`, () => {
    const project = join(folder, name.replace(' ', '-'));
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{"name":"fresh","version":"1.0.0","type":"module"}');
    if (name === 'yarn 4') {
      writeFileSync(join(project, 'yarn.lock'), '');
      writeFileSync(join(project, '.yarnrc.yml'), 'nodeLinker: node-modules\nenableTelemetry: false\n');
    }
    run(project, command, ...words, tarball);
    const { parameters } = JSON.parse(
      run(project, join(project, 'node_modules/.bin/alexnet'), 'summary', '--model', 'alexnet', '--json'),
    );
    assert.equal(parameters, 60_965_224);
  });
}

const PROGRAM = `
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { classifierRouter, createServer, openClassifier, type OpenedClassifier, RequestError } from 'alexnet/serve';

const [file = '', image = ''] = process.argv.slice(2);
const classifier: OpenedClassifier = await openClassifier({ file });
const { predictions } = await classifier.classify(image, { top: 1 });
const refused = await classifier.classify(new Uint8Array(4)).catch((error: unknown) => error);
await classifier.close();

const vision = classifierRouter({ file });
await vision.ready;
const server = createHttpServer(vision).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const { status } = await fetch('http://127.0.0.1:' + port + '/v2/health/ready');
server.close();
await vision.close();
const code: string = refused instanceof RequestError ? refused.code : 'none';
console.log(JSON.stringify([predictions[0]?.label, code, status, typeof createServer]));
`;

const ITSELF = `
import * as tf from '@tensorflow/tfjs-core';
import { buildNetwork, createServer, exportOnnx, loadClassifier, saveModel } from 'alexnet';

const labels = Array.from({ length: 10 }, (_, i) => 'class ' + i);
await saveModel(await exportOnnx(buildNetwork('cifar10-quick'), { classifier: { labels } }), 'quick.onnx');
const doubled = (x: tf.Tensor) => tf.add(x, x);
const { operators } = await exportOnnx(doubled, { inputs: [{ name: 'x', shape: [null, 2], dtype: 'float32' }] });
const classifier = await loadClassifier('quick.onnx');
const { model } = classifier;
await classifier.close();
console.log(JSON.stringify([model.labels.length, operators, typeof createServer]));
`;

test('programs with alexnet and alexnet/serve of the packed package, README’s too, type-check under strict and NodeNext with skipLibCheck false, and run', async () => {
  const project = join(folder, 'npm');
  run(project, 'npm', 'install', '@types/node@20', '@tensorflow/tfjs-core@4.22.0');
  writeFileSync(join(project, 'program.ts'), PROGRAM);
  writeFileSync(join(project, 'itself.ts'), ITSELF);
  const shown = readPage('README.md').blocks.filter(({ language }) => language === 'ts');
  assert.ok(shown.length > 0);
  const examples = shown.map(({ text }, i) => {
    writeFileSync(join(project, `example-${i}.ts`), text);
    return `example-${i}.ts`;
  });
  const options = ['--strict', '--module', 'NodeNext', '--target', 'ES2022', '--skipLibCheck', 'false'];
  const tsc = [join(ROOT, 'node_modules/typescript/bin/tsc'), ...options];
  run(project, process.execPath, ...tsc, 'program.ts', 'itself.ts', ...examples);
  const file = writeTinyModel(join(folder, 'tiny.onnx'));
  const image = join(folder, 'corner.png');
  await corner(2).png().toFile(image);
  const answer = run(project, process.execPath, 'program.js', file, image);
  assert.deepEqual(JSON.parse(answer), ['bottom left', 'UNSUPPORTED_IMAGE_TYPE', 200, 'function']);
  assert.deepEqual(JSON.parse(run(project, process.execPath, 'itself.js')), [10, { Add: 1 }, 'function']);
});
