import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tenCrops } from '../../base/crops.js';
import { tf } from '../../base/tfjs/core.js';
import { meanImage } from '../../train/data/batches/mean.js';
import type { Split } from '../../train/data/dataset.js';
import { evaluate, type ImagePrediction, topClasses } from '../../train/evaluate/evaluate.js';
import { checkpointPredictor } from '../../train/evaluate/predict-checkpoint.js';
import { CLASSES, IMAGE_PX, INPUT_PX, tinyModel, tinySplit } from './tiny.js';

/** Five images of seven classes; the table's rows are their probabilities. */
const TABLE = [
  [0.4, 0.3, 0.1, 0.05, 0.06, 0.07, 0.02],
  [0.4, 0.3, 0.1, 0.05, 0.06, 0.07, 0.02],
  [0.4, 0.3, 0.1, 0.05, 0.06, 0.07, 0.02],
  [0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.9],
  [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1],
];
const SPLIT: Split = {
  length: 5,
  // right; sixth, so wrong twice; last; right; second of equals, so in the top five only
  labels: Uint16Array.of(0, 3, 6, 6, 1),
  name: (index) => `image ${index}`,
  pixels: () => new Uint8Array(0),
};
const fromTable = async (indices: Uint32Array) => Float32Array.from([...indices].flatMap((index) => TABLE[index]));

test('counts top-1 and top-5 errors as fractions, whatever the batch', async () => {
  for (const batch of [1, 2, 5, 9]) {
    const { loss, ...result } = (await evaluate(fromTable, SPLIT, { batch }))!;
    assert.deepEqual(result, { images: 5, top1Error: 3 / 5, top5Error: 2 / 5 });
    const byHand = -SPLIT.labels.reduce((sum, label, image) => sum + Math.log(TABLE[image][label]), 0) / 5;
    assert.ok(Math.abs(loss - byHand) < 1e-6, `loss ${loss}, by hand ${byHand}`); // float32 probabilities
  }
});

test('tells each image’s name, class, best five, the probability of the first and the loss', async () => {
  const seen: ImagePrediction[] = [];
  await evaluate(fromTable, SPLIT, {
    batch: 2,
    onImage: (prediction, index) => {
      seen[index] = prediction;
    },
  });
  assert.equal(seen.length, 5);
  const probability = Math.fround(0.9);
  const loss = -Math.log(probability);
  assert.deepEqual(seen[3], { name: 'image 3', label: 6, top5: [6, 5, 0, 1, 2], probability, loss });
  assert.equal(seen[1].loss, -Math.log(Math.fround(0.05)), 'of the true class, not of the first');
});

test('ends early between batches when stopped', async () => {
  let asked = 0;
  const result = await evaluate(fromTable, SPLIT, { batch: 2, stopped: () => ++asked === 2 });
  assert.equal(result, null);
  assert.equal(asked, 2);
});

test('orders equal probabilities by class, and gives fewer than five if there are fewer classes', () => {
  assert.deepEqual(topClasses(Float32Array.of(0.25, 0.5, 0.25), 5), [1, 0, 2]);
});

test('averages softmax probabilities, not logits, over the crops, and cuts the mean along with the image', async () => {
  const model = tinyModel();
  const split = tinySplit(3, 'val');
  const mean = meanImage(split, 0);
  const crops = tenCrops(IMAGE_PX, INPUT_PX);
  const options = { imagePx: IMAGE_PX, mean, crops, batch: 2, seed: 0 };
  const actual = await checkpointPredictor(model, options)(Uint32Array.of(2), split);

  const expected = new Array(CLASSES).fill(0);
  for (const { top, left, mirror } of crops) {
    const window: number[] = [];
    for (let y = 0; y < INPUT_PX; y++) {
      for (let x = 0; x < INPUT_PX; x++) {
        const column = left + (mirror ? INPUT_PX - 1 - x : x);
        for (let c = 0; c < 3; c++) {
          const at = ((top + y) * IMAGE_PX + column) * 3 + c;
          window.push(split.pixels(2, undefined as never)[at] - mean[at]);
        }
      }
    }
    const logits = (model.predict(tf.tensor(window, [1, INPUT_PX, INPUT_PX, 3])) as tf.Tensor).dataSync<'float32'>();
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    logits.forEach((logit, c) => {
      expected[c] += Math.exp(logit) / sum / crops.length;
    });
  }
  assert.equal(actual.length, CLASSES);
  // float32 softmax against float64: 1e-6 of probabilities below 1
  expected.forEach((value, c) => {
    assert.ok(Math.abs(actual[c] - value) < 1e-6, `class ${c}: expected ${value}, got ${actual[c]}`);
  });
});

test('gives an image the same prediction in a full batch and in a filled-up one', async () => {
  const split = tinySplit(5, 'val');
  const crops = [{ top: 0, left: 1, mirror: false }];
  const options = { imagePx: IMAGE_PX, mean: meanImage(split, 0), crops, batch: 3, seed: 0 };
  const predict = checkpointPredictor(tinyModel(), options);
  const full = await predict(Uint32Array.of(0, 4, 1), split);
  const single = await predict(Uint32Array.of(4), split);
  assert.equal(single.length, CLASSES);
  assert.deepEqual(single, full.slice(CLASSES, 2 * CLASSES));
});
