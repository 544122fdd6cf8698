/**
 * Training steps whose kernels are labelled by layer and direction, for the profile: `node profiled-step.js NETWORK
 * BATCH STEPS` under ALEXNET_PROFILE. Prints JSON: milliseconds of each step, and of the part of it spent inside
 * onnxruntime.
 */

import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { reseedDropout } from '../../model/dropout.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { NativeGraph } from '../../onnx/backend/binding.js';
import { keepMemory } from '../../onnx/backend/index.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';

/** Runs `work` with every kernel call recorded under `label`. */
function labelled<T>(label: string, work: () => T): T {
  const outer = recorder.label;
  recorder.label = label;
  try {
    return work();
  } finally {
    recorder.label = outer;
  }
}

interface TapeNode {
  gradient?: (dys: unknown) => Record<string, () => tf.Tensor>;
}

/** Gradients run under the label of their forward call: the tape's entries are wrapped as they are made. */
function labelGradients(): void {
  const engine = tf.engine() as unknown as {
    state: { activeTape: TapeNode[] };
    addTapeNode: (...words: unknown[]) => void;
  };
  const addTapeNode = engine.addTapeNode.bind(engine);
  engine.addTapeNode = (...words) => {
    addTapeNode(...words);
    const node = engine.state.activeTape.at(-1)!;
    const { gradient } = node;
    const label = recorder.label.replace('forward', 'backward');
    if (!gradient) return;
    node.gradient = (dys) => {
      const parts = labelled(label, () => gradient(dys));
      return Object.fromEntries(
        Object.entries(parts).map(([input, compute]) => [input, () => labelled(label, compute)]),
      );
    };
  };
}

let insideMs = 0;
const { run } = NativeGraph.prototype;
NativeGraph.prototype.run = function (...tensors) {
  const started = performance.now();
  const outputs = run.apply(this, tensors);
  insideMs += performance.now() - started;
  return outputs;
};

const [name, batch, steps] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
keepMemory(); // as alexnet train does
await tf.setBackend('onnxruntime');
labelGradients();
const spec = findNetwork(name);
const model = buildNetwork(spec, { classes: name.startsWith('cifar10') ? 10 : 1000, seed: 1 });
for (const layer of model.layers) {
  const call = layer.call.bind(layer);
  layer.call = (inputs, kwargs) => labelled(`${layer.name} forward`, () => call(inputs, kwargs));
}
const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), { momentum: 0.9, weightDecay: 0.0005 }));
const noise = random('bench');
const images = Float32Array.from({ length: batch * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);
const labels = Int32Array.from({ length: batch }, () => noise.integer(10));
const measured: { stepMs: number; insideMs: number }[] = [];
for (let i = 0; i < steps; i++) {
  reseedDropout(model, 1, i);
  insideMs = 0;
  const started = performance.now();
  labelled('loss and update', () => step.run({ images, labels }, 0.0001));
  measured.push({ stepMs: performance.now() - started, insideMs });
}
console.log(JSON.stringify(measured));
