/**
 * ImageNet photographs as two of Hugging Face's preprocessors have them, one that stretches and one that cuts, against
 * Pillow itself.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { random } from '../../base/random.js';
import { type Classifier, openClassifier } from '../../serve/inference/classifier.js';
import { photographs } from '../bench/photographs.js';
import { floats, node, writeColourModel } from '../serve/colour-model.js';
import { needs } from './command.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('../../../test/real/pillow_prepare.py', import.meta.url));
const SIDE = 224;
const SIZE = SIDE * SIDE * 3;
const CLASSES = 1000;

const root = mkdtempSync(join(tmpdir(), 'alexnet-pillow-photographs-'));
after(() => rmSync(root, { recursive: true }));

const CONFIGS = {
  stretched: { size: { height: SIDE, width: SIDE }, resample: 2 },
  cut: { size: { shortest_edge: 256 }, do_center_crop: true, crop_size: SIDE, resample: 3 },
};

/**
 * A linear network of 1000 classes with random weights on means over 8 × 8 pixels: near classes, so that small
 * differences change the first.
 */
async function open(name: keyof typeof CONFIGS): Promise<Classifier> {
  const folder = join(root, name);
  mkdirSync(folder);
  const stream = random('weights');
  const inputs = 3 * (SIDE / 8) ** 2;
  const weights = Array.from({ length: inputs * CLASSES }, () => stream.normal());
  const file = writeColourModel(join(folder, 'model.onnx'), {
    size: { width: SIDE, height: SIDE },
    width: CLASSES,
    nodes: [
      node('AveragePool', 'x', 'pooled', { kernel_shape: [8, 8], strides: [8, 8] }),
      node('Flatten', 'pooled', 'flat', { axis: 1 }),
      node('Gemm', ['flat', 'random'], 'y'),
    ],
    stored: [floats('random', weights, [inputs, CLASSES])],
  });
  const id2label = Object.fromEntries(Array.from({ length: CLASSES }, (_, i) => [i, String(i)]));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ id2label }));
  const preprocessor = { ...CONFIGS[name], image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(preprocessor));
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e8, log: () => undefined });
  after(() => classifier.release());
  return classifier;
}

/** What the network gives for Pillow's pixels, which go in where ours do, with a margin that is cut off again. */
async function firstClass({ infer, model }: Classifier, pixels: Uint8Array): Promise<number> {
  const margin = (model.imagePx - SIDE) / 2;
  const image = new Uint8Array(model.imagePx ** 2 * 3);
  for (let y = 0; y < SIDE; y++) {
    image.set(pixels.subarray(y * SIDE * 3, (y + 1) * SIDE * 3), ((margin + y) * model.imagePx + margin) * 3);
  }
  const [probabilities] = await infer([image]);
  return probabilities.indexOf(Math.max(...probabilities));
}

function centre(pixels: Uint8Array, imagePx: number): Uint8Array {
  const margin = (imagePx - SIDE) / 2;
  const rows = Array.from({ length: SIDE }, (_, y) => {
    const start = ((margin + y) * imagePx + margin) * 3;
    return pixels.subarray(start, start + SIDE * 3);
  });
  return Buffer.concat(rows);
}

function withPillow(): string | false {
  try {
    execFileSync(PYTHON, ['-c', 'import PIL']);
    return false;
  } catch {
    return `${PYTHON} cannot import PIL; install python3-pil or set ALEXNET_PYTHON`;
  }
}

it('prepares photographs as Pillow does, stretched and cut, and so finds the same classes', {
  skip: needs('imagenet-samples.tar').skip || withPillow(),
}, async (t) => {
  const images = (await photographs()).slice(0, 60);
  const files = images.map((bytes, i) => {
    writeFileSync(join(root, `${i}.jpg`), bytes);
    return join(root, `${i}.jpg`);
  });
  const out = join(root, 'pillow.bin');
  execFileSync(PYTHON, [SCRIPT, ...files, out]);
  const pillow = readFileSync(out);
  for (const [at, name] of (['stretched', 'cut'] as const).entries()) {
    const classifier = await open(name);
    let [same, far] = [0, 0];
    for (const [i, bytes] of images.entries()) {
      const theirs = pillow.subarray((2 * i + at) * SIZE, (2 * i + at + 1) * SIZE);
      const ours = centre(await classifier.decode(bytes), classifier.model.imagePx);
      assert.equal(theirs.length, SIZE);
      far += theirs.reduce((sum, value, k) => sum + Math.abs(value - ours[k]), 0) / SIZE;
      same += Number((await firstClass(classifier, ours)) === (await firstClass(classifier, theirs)));
    }
    t.diagnostic(
      `${name}: ${same} of ${images.length} alike, ${(far / images.length).toFixed(3)} levels apart in the mean`,
    );
    assert.equal(same, images.length, name);
    assert.ok(far / images.length < 0.1, `${name}: ${far / images.length} levels`);
  }
});
