/**
 * The crops and the errors that `alexnet export` writes into a run's file are those that the file is served and
 * evaluated with.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import sharp from 'sharp';
import type { CropCount } from '../../base/crops.js';
import { silentProgress } from '../../base/progress.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { cropsOfRun } from '../../export/crops-of-run.js';
import { type ExportRunRequest, exportRun } from '../../export/from-run.js';
import { mostImages } from '../../export/measure-file.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { readMetadata } from '../../onnx/file/model-file.js';
import { evaluateRun } from '../../train/evaluate/evaluate-run.js';
import { saveCheckpoint, startState } from '../../train/run/checkpoint.js';
import { createRun, type Run } from '../../train/run/run-folder.js';
import { modelWeights } from '../../train/run/weights.js';
import { resolveSettings, type Settings } from '../../train/settings/config.js';
import { alexnet, json } from '../real/shared-process.js';
import { writeOrigin } from '../train/frozen/origin.js';

const LABELS = ['ant', 'bee', 'cat'];
/** Images a class: enough for the crops to differ in their errors. */
const IMAGES = 10;
const NETWORK = findNetwork('cifar10-11pct');

interface Report {
  file: string;
  sha256: string;
  crops: number;
  top1_error?: number;
  top5_error?: number;
  measured_on?: object;
}

describe('alexnet export of a run', () => {
  let folder: string;
  const at = (...names: string[]) => join(folder, ...names);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-crops-'));
    await tf.setBackend('cpu');
    for (const split of ['train', 'val']) for (const label of LABELS) await writeQuarters(at('data', split, label));
    for (const data of ['data', 'elsewhere']) await writeRun(at(`run-${data}`), at(data), { mirror: false });
  });
  after(() => rm(folder, { recursive: true }));

  const exported = (name: string, request: Partial<ExportRunRequest> = {}, progress = silentProgress) =>
    exportRun({ run: at('run-data'), head: 'image', opset: 13, ...request, out: at(name) }, progress);

  /** What the file answers, by the command for it. */
  const ofFile = (name: string, images?: number) =>
    evaluateRun({ onnx: at(name), data: at('data'), split: 'val', images }, silentProgress);

  it('states the errors that evaluate --onnx gives, equal bytes each time, and says why it averages that many crops', async () => {
    const first = await json<Report>('export', '--run', at('run-data'), '--out', at('default.onnx'));
    assert.equal(first.crops, 5);
    assert.deepEqual(first.measured_on, { split: 'val', images: LABELS.length * IMAGES });
    const words = ['--onnx', at('default.onnx'), '--data', at('data'), '--split', 'val'];
    const measured = await json<Report>('evaluate', ...words);
    assert.deepEqual([measured.crops, measured.top1_error], [5, first.top1_error]);
    const notes: string[] = [];
    const again = await exported('again.onnx', {}, { ...silentProgress, note: (line) => void notes.push(line) });
    assert.equal(again.sha256, first.sha256);
    const reason = '5 crops averaged: trained on random crops, never mirrored (--crops takes another number)';
    assert.ok(notes.includes(reason), notes.join('\n'));
    const { metadata } = await json<{ metadata: Record<string, string> }>('inspect', at('default.onnx'));
    assert.equal(metadata.crops, '5');
    assert.equal(metadata.top1_error, String(first.top1_error));
    assert.equal(metadata.measured_on, '{"split":"val","images":30}');
    assert.deepEqual([first.top5_error, metadata.top5_error], [undefined, undefined], 'of three classes');
  });

  it('names the file after the folder of its run, or as asked, next to the name of the network', async () => {
    const image = at('data/val/ant/0.png');
    for (const [name, ...words] of [['run-data'], ['ants', '--name', 'ants']]) {
      const file = at(`named-${name}.onnx`);
      await json('export', '--run', at('run-data'), '--out', file, '--measure-images', '0', ...words);
      const answer = await json<{ model: object }>('classify', '--model', file, image);
      assert.deepEqual(answer.model, { name, version: '1' });
      assert.equal((await readMetadata(file)).model, NETWORK.name);
    }
    const bad = await alexnet('export', '--run', at('run-data'), '--out', at('x.onnx'), '--name', 'my ants');
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /'--name <name>' argument 'my ants' is invalid\. Expected up to 64 letters, digits/);
  });

  it('says why a network that takes whole images averages fewer crops than asked for', async () => {
    await writeOrigin(at('whole'), 3);
    const words = ['export', '--run', at('whole'), '--out', at('whole.onnx'), '--crops', '10'];
    const { code, stderr } = await alexnet(...words);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^2 crops averaged: the image and its mirror image only, because the network takes whole/m);
  });

  it('averages the number of crops asked for, and states the errors that the checkpoint gives with them', async () => {
    const errors = new Set<number>();
    for (const crops of [2, 10] as CropCount[]) {
      const { metadata } = await exported(`${crops}.onnx`, { crops });
      const file = await ofFile(`${crops}.onnx`);
      const checkpoint = await evaluateRun({ run: at('run-data'), split: 'val', crops }, silentProgress);
      assert.deepEqual([metadata.crops, file.crops, checkpoint.crops], [crops, crops, crops]);
      assert.deepEqual([metadata.top1Error, checkpoint.top1Error], [file.top1Error, file.top1Error]);
      assert.ok(Math.abs(checkpoint.loss - file.loss) < 1e-5, `${crops} crops: loss ${file.loss}, ${checkpoint.loss}`);
      errors.add(file.top1Error);
    }
    assert.ok(errors.size > 1, 'the crops make no difference here, so nothing was compared');
    await assert.rejects(
      evaluateRun({ onnx: at('2.onnx'), data: at('data'), split: 'val', crops: 10 }, silentProgress),
      /2\.onnx: averages 2 crops inside the file, not the 10 of --crops; leave --crops out, or export/,
    );
  });

  it('states of the tensor head what the centre crop minus the mean colour gives', async () => {
    const { metadata } = await exported('tensor.onnx', { head: 'tensor' });
    assert.equal(metadata.crops, 1);
    assert.equal((await ofFile('tensor.onnx')).top1Error, metadata.top1Error);
    const { code, stderr } = await alexnet(
      ...['export', '--run', at('run-data'), '--out', at('x.onnx'), '--head', 'tensor', '--crops', '2'],
    );
    assert.equal(code, 2);
    assert.match(stderr, /--crops belongs to --head image/);
  });

  it('states the errors of the integers in an int8 file, whose layers without shared weights are float32', async () => {
    const { metadata, operators } = await exported('int8.onnx', { precision: 'int8', calibrate: at('data') });
    assert.equal((await ofFile('int8.onnx')).top1Error, metadata.top1Error);
    assert.deepEqual([operators.Conv, operators.MatMul, operators.Gemm], [2, 2, 1]);
  });

  it('makes an int8 file without a data set from the images that the run keeps', async () => {
    const { code, stdout, stderr } = await alexnet(
      ...['export', '--run', at('run-elsewhere'), '--out', at('own.onnx'), '--precision', 'int8', '--json'],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /no --calibrate DATA: the 2 images that the run keeps stand in/);
    assert.equal(JSON.parse(stdout).comparison.pictures, 2);
  });

  it('measures as many images as asked, spread over the classes, and says so', async () => {
    const { metadata } = await exported('some.onnx', { measureImages: 9 });
    assert.deepEqual(metadata.measuredOn, { split: 'val', images: 9 });
    const { images, top1Error } = await ofFile('some.onnx', 9);
    assert.deepEqual([images, top1Error], [9, metadata.top1Error]);
    assert.equal(mostImages({ crops: 10, inputPx: 227 }), 1000);
    assert.ok(mostImages({ crops: 10, inputPx: NETWORK.inputPx }) > 10_000, 'all of CIFAR-10');
  });

  it('states no errors, and says why, if the images are gone, unless it is shown others', async () => {
    const notes: string[] = [];
    const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
    const run = at('run-elsewhere');
    const { metadata } = await exported('gone.onnx', { run }, progress);
    assert.deepEqual([metadata.top1Error, metadata.measuredOn], [undefined, undefined]);
    const stated = await readMetadata(at('gone.onnx'));
    assert.equal(stated.top1Error, undefined, 'not the 0.25 of the checkpoint, which one crop gave');
    assert.match(
      notes.join('\n'),
      /will state no errors: .*elsewhere: no such file or folder.*; --data DATA measures them/,
    );
    const measured = await exported('shown.onnx', { run, data: at('data') });
    assert.deepEqual(measured.metadata.measuredOn, { data: at('data'), split: 'val', images: 30 });
    await assert.rejects(exported('wrong.onnx', { data: at('elsewhere') }), /elsewhere: no such file or folder/);
  });
});

test('takes corners where a run saw random crops, and mirror images where it saw them', () => {
  const chosen = (imagePx: number, randomCrop: boolean, mirror: boolean, views?: number) =>
    cropsOfRun({ config: { model: 'n', randomCrop, mirror, views }, imagePx, inputPx: 24 } as Run);
  assert.deepEqual(chosen(32, true, true), { crops: 10, reason: 'trained on random crops, mirrored or not' });
  assert.deepEqual(chosen(32, true, false), { crops: 5, reason: 'trained on random crops, never mirrored' });
  assert.deepEqual(chosen(32, false, true), { crops: 2, reason: 'trained on centre crops, mirrored or not' });
  assert.deepEqual(chosen(32, false, false), { crops: 1, reason: 'trained on centre crops, never mirrored' });
  assert.deepEqual(chosen(24, true, true), { crops: 2, reason: 'trained on whole images, mirrored or not' });
  assert.deepEqual(chosen(24, true, false), { crops: 1, reason: 'trained on whole images, never mirrored' });
  const ofViews = (views: number) => chosen(32, true, true, views).crops;
  assert.deepEqual([0, 1, 2, 5, 10, 7].map(ofViews), [10, 1, 2, 5, 10, 10]);
  const { reason } = chosen(32, true, true, 3);
  assert.equal(reason, 'trained on 3 random crops of each image, mirrored or not');
});

/** Quarters of random colours, so that crops and mirror images differ. */
async function writeQuarters(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const px = NETWORK.imagePx;
  for (let i = 0; i < IMAGES; i++) {
    const stream = random(path.split('/').slice(-2).join('/'), i);
    const colours = Uint8Array.from({ length: 4 * 3 }, () => stream.integer(256));
    const pixels = Uint8Array.from({ length: px * px * 3 }, (_, at) => {
      const [y, x] = [Math.floor(at / 3 / px), Math.floor(at / 3) % px];
      return colours[(2 * Math.floor((2 * y) / px) + Math.floor((2 * x) / px)) * 3 + (at % 3)];
    });
    await sharp(pixels, { raw: { width: px, height: px, channels: 3 } })
      .png()
      .toFile(join(path, `${i}.png`));
  }
}

/**
 * A run with drawn weights, large enough for answers that differ, that has one crop's error of 25 % in its checkpoint.
 */
async function writeRun(path: string, data: string, settings: Partial<Settings>): Promise<void> {
  const { imagePx, inputPx, recipe } = NETWORK;
  const config = { data, model: NETWORK.name, ...resolveSettings(recipe, settings) };
  const record = { config, imagePx, inputPx, pictures: { train: 30, val: 30 }, versions: {} };
  const mean = Float32Array.from({ length: imagePx ** 2 * 3 }, (_, i) => 120 + (i % 17));
  const samples = Uint8Array.from({ length: 2 * imagePx ** 2 * 3 }, (_, i) => (i * 7919) % 256);
  const run = await createRun(path, { ...record, labels: LABELS, mean, samples });
  const model = buildNetwork(NETWORK, { classes: LABELS.length, seed: 4, width: 0.125 });
  for (const { name, variable } of modelWeights(model, 'all')) {
    const stream = random('weights', name);
    const values = Float32Array.from({ length: variable.size }, () => 0.15 * stream.normal());
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  }
  const validation = { epoch: 1, loss: 1, top1Error: 0.25, top5Error: 0 };
  const state = { ...startState(), epoch: 1, lastValidation: validation, bestValidation: validation };
  await saveCheckpoint(run.best, model, [], state);
  model.dispose();
}
