/**
 * Training steps of AlexNet on one provider: `node gpu-step.js PROVIDER IMAGES SECONDS` prints JSON. What would not be done
 * in SECONDS is shrunk until it would, by the rate of a large matrix product.
 */
import { availableParallelism } from 'node:os';
import { random } from '../../base/random.js';
import { reseedDropout } from '../../model/dropout.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { traffic } from '../../onnx/backend/binding.js';
import type { Provider } from '../../onnx/backend/provider.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { flopsPerImage, productRate } from './flops.js';
import { median } from './median.js';

export interface GpuStep {
  why: string;
  side: number;
  productFlops: number;
  /** AlexNet, or what took its place. */
  network: string;
  images: number;
  imagesPerSecond: number;
  flops: number;
  /** Copied in a step between the host's memory and the GPU's. */
  traffic: typeof traffic;
}

const WARM_UP = 2;
/** Of the rate of a large product that a step has at least, for an estimate. */
const SHARE = 0.2;
/** Steps that the estimate has to allow for, in this multiple of SECONDS. */
const [FEWEST_STEPS, PATIENCE] = [3, 2];

const provider = process.argv[2] as Provider;
const [wanted, seconds] = process.argv.slice(3).map(Number);
const { why } = await selectBackend('onnxruntime', provider);
const product = productRate(provider, availableParallelism());

const { spec, classes, model, images } = fitting();
const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), { momentum: 0.9, weightDecay: 0.0005 }));
const noise = random('bench');
const pixels = Float32Array.from({ length: images * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);
const labels = Int32Array.from({ length: images }, () => noise.integer(classes));
const steps: ({ ms: number } & typeof traffic)[] = [];
const begun = performance.now();
while (steps.length < 2 || performance.now() - begun < 1000 * seconds) {
  Object.assign(traffic, { bytesToDevice: 0, bytesToHost: 0 });
  reseedDropout(model, 1, steps.length);
  const started = performance.now();
  step.run({ images: pixels, labels }, 0.0001);
  steps.push({ ms: performance.now() - started, ...traffic });
}
const warm = steps.slice(Math.min(WARM_UP, steps.length - 1));
const imagesPerSecond = (1000 * images) / median(warm.map(({ ms }) => ms));
console.log(
  JSON.stringify({
    why,
    side: product.side,
    productFlops: product.flops,
    network: spec.name,
    images,
    imagesPerSecond,
    flops: imagesPerSecond * flopsPerImage(model, 'step'),
    traffic: warm.at(-1)!,
  } satisfies GpuStep),
);

/** AlexNet if its steps fit into the time, with fewer images maybe; else a network that does. */
function fitting() {
  const sizes = [
    ...[1, 4, 16].map((part) => ({ name: 'alexnet', classes: 1000, images: Math.ceil(wanted / part) })),
    ...[32, 128].map((part) => ({ name: 'cifar10-quick', classes: 10, images: Math.ceil(wanted / part) })),
  ];
  for (const size of sizes) {
    const spec = findNetwork(size.name);
    const model = buildNetwork(spec, { classes: size.classes, seed: 1 });
    const estimate = (size.images * flopsPerImage(model, 'step')) / (SHARE * product.flops);
    if (FEWEST_STEPS * estimate < PATIENCE * seconds || size === sizes.at(-1)) return { ...size, spec, model };
    model.dispose();
  }
  throw new RangeError('no size');
}
