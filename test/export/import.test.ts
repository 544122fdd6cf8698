import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import { silentProgress } from '../../base/progress.js';
import { importRun } from '../../cli/import.js';
import { cropsOfRun } from '../../export/crops-of-run.js';
import { exportRun } from '../../export/from-run.js';
import { importNetwork } from '../../export/import/import-network.js';
import { exportClassifier, saveModel } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { openRun } from '../../train/run/run-folder.js';
import { alexnet, json } from '../real/shared-process.js';
import { weightsOf } from '../train/weights-of.js';
import { comesBack, exported, labels, network } from './own-files.js';

let folder: string;
const at = (name: string) => join(folder, name);

before(async () => {
  await selectBackend('onnxruntime');
  folder = await mkdtemp(join(tmpdir(), 'alexnet-import-'));
});
after(() => rm(folder, { recursive: true }));

describe("a file of this project's own", () => {
  // the other networks are in import.slow.test.ts
  for (const name of ['alexnet', 'cifar10-11pct', 'cifar10-quick'])
    it(`gives the weights back bit for bit: ${name}`, () => comesBack(name, folder));

  it('becomes a run that holds labels, mean, errors and weights', async () => {
    const model = network('cifar10-quick');
    const { file, mean } = await exported(model, 'cifar10-quick', folder);
    const report = await importRun({ file, model: 'cifar10-quick', out: at('run'), force: false });
    assert.equal(report.parameters, model.countParams());
    const run = await openRun(at('run'));
    assert.deepEqual(run.labels, labels);
    assert.deepEqual(run.mean, mean);
    const { model: read, state } = await loadCheckpoint(run.best);
    assert.equal(state.bestValidation?.top1Error, 0.25);
    // its recipe mirrors nothing
    assert.deepEqual(cropsOfRun(run), { crops: 2, reason: 'as in cifar10-quick-image.onnx' });
    assert.deepEqual(weightsOf(read), weightsOf(model));
    await assert.rejects(
      importRun({ file, model: 'cifar10-quick', out: at('run'), force: false }),
      /holds a run already/,
    );
    // Written again, it is the same file but for the checkpoint's name.
    assert.equal((await stat((await exported(read, 'cifar10-quick', folder)).file)).size, (await stat(file)).size);
  });

  it('takes labels with a byte order mark, or in Latin-1, from a file', async () => {
    const model = network('cifar10-quick');
    const { file } = await exported(model, 'cifar10-quick', folder);
    const given = ['café', 'thé', 'maïs', 'blé', 'kiwi'];
    for (const bytes of [Buffer.from(`\ufeff${given.join('\n')}`), Buffer.from(given.join('\n'), 'latin1')]) {
      await writeFile(at('labels.txt'), bytes);
      const imported = await importNetwork(file, findNetwork('cifar10-quick'), { labels: at('labels.txt') });
      assert.deepEqual(imported.labels, given);
    }
  });

  it('that is of another network: every layer with what was expected and what came, and the run there stays', async () => {
    const model = network('cifar10-18pct');
    const { file } = await exported(model, 'cifar10-18pct', folder);
    await importRun({ file, model: 'cifar10-18pct', out: at('kept'), force: false });
    const before = await readFile(join(at('kept'), 'config.json'), 'utf8');
    await assert.rejects(importRun({ file, model: 'cifar10-quick', out: at('kept'), force: true }), (error: Error) => {
      assert.equal(error.name, 'UserError');
      assert.match(error.message, /does not fit cifar10-quick/);
      assert.match(error.message, /conv3: conv \[64, 32, 5, 5\], bias \[64\] +got conv \[64, 32, 5, 5\]/);
      assert.match(error.message, /fc\w+: fc \[1024, 64\], bias \[64\] +got fc \[1024, 5\].*← differs/);
      return true;
    });
    assert.equal(await readFile(join(at('kept'), 'config.json'), 'utf8'), before);
  });
});

describe('constants of response normalisation that are not those of the network', () => {
  const rnorm1 = { depthRadius: 3, bias: 1.5, alpha: 0.002, beta: 0.6 };
  const lrn = { rnorm1, rnorm2: { depthRadius: 1, bias: 2, alpha: 0.0001, beta: 0.75 } };
  const configOf = async (name: string) => (await openRun(at(name))).config.lrn;

  before(async () => {
    const spec = findNetwork('cifar10-11pct');
    const model = buildNetwork(spec, { classes: 2, seed: 2, lrn });
    const { imagePx, inputPx } = spec;
    const metadata = { model: spec.name, labels: ['cat', 'dog'], dataset: 'x', toolVersion: '0' };
    const mean = new Float32Array(imagePx ** 2 * 3).fill(120);
    const options = {
      head: 'image',
      opset: 13,
      imagePx,
      inputPx,
      mean,
      metadata: { ...metadata, meanRgb: [120, 120, 120] },
    };
    await saveModel(
      (await exportClassifier(model, options as Parameters<typeof exportClassifier>[1])).model,
      at('lrn.onnx'),
    );
    model.dispose();
  });

  it('are kept in the run by `alexnet import`, which compares and says so', async () => {
    const words = [at('lrn.onnx'), '--model', 'cifar10-11pct', '--out', at('lrn')];
    const { stdout, code } = await alexnet('import', ...words);
    assert.equal(code, 0);
    assert.match(stdout, /compared: largest difference \S+ of the largest logit, on 3 generated images/);
    assert.deepEqual(await configOf('lrn'), lrn);
  });

  it('are shown by summary, and come back from a file that writes the normalisation as a convolution', async () => {
    const { stdout } = await alexnet('summary', '--run', at('lrn'));
    assert.match(stdout, /rnorm1: x \/ \(1\.5 \+ 0\.002 · Σ x² over 7 channels\)\^0\.6/);
    await exportRun({ head: 'image', opset: 13, run: at('lrn'), out: at('conv.onnx'), lrn: 'conv' }, silentProgress);
    const words = [at('conv.onnx'), '--model', 'cifar10-11pct', '--out', at('again')];
    const { run, model, classes, compared } = await json<Record<string, unknown>>('import', ...words);
    assert.deepEqual([run, model, classes], [at('again'), 'cifar10-11pct', 2]);
    const { images, max_rel } = compared as { images: number; max_rel: number };
    assert.ok(images === 3 && max_rel < 1e-5, `${max_rel}`);
    assert.deepEqual(await configOf('again'), lrn);
  });

  it('hold for a run that starts from that one, and for its file', async () => {
    for (const split of ['train', 'val']) {
      for (const [label, background] of Object.entries({ ant: 'red', bee: 'blue' })) {
        await mkdir(join(at('data'), split, label), { recursive: true });
        const image = sharp({ create: { width: 32, height: 32, channels: 3, background } }).png();
        await image.toFile(join(at('data'), split, label, '0.png'));
      }
    }
    const words = ['--data', at('data'), '--from', at('lrn'), '--epochs', '1', '--lr', '1e-6'];
    await json('train', ...words, '--out', at('trained'));
    assert.deepEqual(await configOf('trained'), lrn);
    await exportRun({ head: 'image', opset: 13, run: at('trained'), out: at('trained.onnx') }, silentProgress);
    const { graph } = onnx.ModelProto.decode(await readFile(at('trained.onnx')));
    const attributes = graph!.node!.filter(({ opType }) => opType === 'LRN').map(({ attribute }) => attribute!);
    assert.deepEqual(
      attributes.map((all) =>
        ['size', 'bias'].map((key) => all.find(({ name }) => name === key)!).map(({ f, i }) => f || Number(i)),
      ),
      [
        [7, 1.5],
        [3, 2],
      ],
    );
  });
});
