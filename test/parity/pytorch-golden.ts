/**
 * The full-size AlexNet on the backend `onnxruntime` against PyTorch's results in test/fixtures/alexnet-golden.json.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import * as ort from '../../onnx/onnxruntime.js';
import '../../onnx/backend/index.js';
import { exportClassifier } from '../../export/classifier.js';
import { ALEXNET } from '../../model/alexnet.js';
import { buildNetwork } from '../../model/network.js';
import { assertNear, TOLERANCE } from './difference.js';
import { imagesNchw, samplePositions, signedSum, uniform } from './golden-formula.js';
import { oneStep, type StepValues, setWeights } from './one-step.js';
import { nchwToNhwc, tfjsToTorch, torchToTfjs } from './torch-layout.js';

/** What the fixture holds of a tensor, in PyTorch's order. */
interface TensorSummary {
  /** Largest absolute value. */
  max: number;
  sum: number;
  absSum: number;
  signedSum: number;
  samples: number[];
}

interface GoldenCase {
  seed: number;
  pictures: number[];
  labels: number[];
  loss: number;
  logits: number[];
  gradients: Record<string, TensorSummary>;
  updated: Record<string, TensorSummary>;
}

interface Golden {
  classes: number;
  pictureBound: number;
  weights: { name: string; torchShape: number[]; bound: number }[];
  cases: GoldenCase[];
}

const FIXTURE = new URL('../../../test/fixtures/alexnet-golden.json', import.meta.url);
const GOLDEN: Golden = JSON.parse(readFileSync(FIXTURE, 'utf8'));

const SIDE = ALEXNET.inputPx;

const product = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

function setGoldenWeights(model: tfl.LayersModel, { seed }: GoldenCase): void {
  setWeights(model, (wanted) => {
    const stream = GOLDEN.weights.findIndex(({ name }) => name === wanted);
    const { name, torchShape, bound } = GOLDEN.weights[stream];
    return torchToTfjs(name, torchShape, uniform(seed, stream, product(torchShape), bound));
  });
}

function runCase(model: tfl.LayersModel, { seed, pictures: imageNumbers, labels }: GoldenCase): StepValues {
  const images = imagesNchw(seed, imageNumbers, 3 * SIDE * SIDE, GOLDEN.pictureBound);
  return oneStep(model, nchwToNhwc(images, 3, SIDE), Int32Array.from(labels));
}

/**
 * Compares all the fixture has of a tensor; `torch` is in PyTorch's order. Sums may be off by shares of the sum of
 * absolute values or, where signs cancel, of the Euclidean norm.
 */
function assertSummary(
  what: string,
  seed: number,
  torch: Float32Array,
  expected: TensorSummary,
  tolerance: number,
): void {
  const samples = samplePositions(seed, torch.length, expected.samples.length).map((position) => torch[position]);
  let [max, sum, absSum, squares] = [0, 0, 0, 0];
  for (let i = 0; i < torch.length; i++) {
    const value = torch[i];
    max = Math.max(max, Math.abs(value));
    sum += value;
    absSum += Math.abs(value);
    squares += value * value;
  }
  const off = {
    max: Math.abs(max - expected.max) / expected.max,
    samples: Math.max(...samples.map((value, i) => Math.abs(value - expected.samples[i]))) / expected.max,
    sum: Math.abs(sum - expected.sum) / expected.absSum,
    absSum: Math.abs(absSum - expected.absSum) / expected.absSum,
    signedSum: Math.abs(signedSum(seed, torch) - expected.signedSum) / Math.sqrt(squares),
  };
  for (const [part, relative] of Object.entries(off)) {
    assert.ok(relative <= tolerance, `${what}: ${part} is off by the share ${relative}, more than ${tolerance}`);
  }
}

/** Logits of the exported file, in onnxruntime's ordinary interface, for the weights and images of a case. */
async function exportedLogits(
  model: tfl.LayersModel,
  { seed, pictures: imageNumbers }: GoldenCase,
): Promise<Float32Array> {
  const exported = await exportClassifier(model, {
    head: 'tensor',
    opset: 13,
    imagePx: ALEXNET.imagePx,
    inputPx: SIDE,
    mean: new Float32Array(ALEXNET.imagePx ** 2 * 3),
    metadata: { model: 'alexnet', labels: [], meanRgb: [0, 0, 0], dataset: 'golden', toolVersion: '0' },
  });
  const session = await ort.InferenceSession.create(exported.model.encode());
  const images = imagesNchw(seed, imageNumbers, 3 * SIDE * SIDE, GOLDEN.pictureBound);
  const { logits } = await session.run({
    input: new ort.Tensor('float32', images, [imageNumbers.length, 3, SIDE, SIDE]),
  });
  await session.release();
  return logits.data as Float32Array;
}

/** @param cases  of the fixture, by number */
export function describeGolden(cases: readonly number[]): void {
  describe('AlexNet on the backend onnxruntime, against PyTorch', () => {
    let model: tfl.LayersModel;

    before(async () => {
      await tf.setBackend('onnxruntime');
      model = buildNetwork(ALEXNET, { classes: GOLDEN.classes, seed: 0, drawn: [] });
    });

    after(() => model.dispose());

    for (const golden of cases.map((number) => GOLDEN.cases[number])) {
      it(`computes PyTorch's logits, loss, gradients and update in one run: batch ${golden.labels.length}, seed ${golden.seed}`, async () => {
        setGoldenWeights(model, golden);
        assertNear('logits of the exported file', await exportedLogits(model, golden), golden.logits, TOLERANCE.logits);
        const step = runCase(model, golden);
        assert.equal(step.runs, 1);
        assertNear('loss', [step.loss], [golden.loss], TOLERANCE.logits);
        assertNear('logits', step.logits, golden.logits, TOLERANCE.logits);
        for (const { name, torchShape } of GOLDEN.weights) {
          for (const what of ['gradients', 'updated'] as const) {
            const torch = tfjsToTorch(name, torchShape, step[what].get(name)!);
            assertSummary(`${what} ${name}`, golden.seed, torch, golden[what][name], TOLERANCE[what]);
          }
        }
      });
    }
  });
}
