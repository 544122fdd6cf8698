/**
 * AlexNet of 1000 classes with random weights in both heads: `node alexnet-files.js FOLDER [WIDTH]` writes `image.onnx` and
 * `tensor.onnx`. A process of its own, so that what measures stays free of tfjs.
 */
import { join } from 'node:path';
import { exportClassifier } from '../../export/classifier.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { saveModel } from '../../onnx/file/onnx-model.js';

const CLASSES = 1000;
const IMAGE_PX = 256;
const MEAN_RGB: [number, number, number] = [123, 117, 104];

await selectBackend('onnxruntime');
const spec = findNetwork('alexnet');
const model = buildNetwork(spec, { classes: CLASSES, seed: 1, width: Number(process.argv[3] ?? 1) });
const mean = Float32Array.from({ length: IMAGE_PX * IMAGE_PX * 3 }, (_, i) => MEAN_RGB[i % 3]);
for (const head of ['image', 'tensor'] as const) {
  const { model: exported } = await exportClassifier(model, {
    head,
    opset: 13,
    imagePx: IMAGE_PX,
    inputPx: spec.inputPx,
    mean,
    metadata: {
      model: spec.name,
      labels: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
      meanRgb: MEAN_RGB,
      dataset: 'none: random weights',
      toolVersion: 'bench',
    },
  });
  await saveModel(exported, join(process.argv[2], `${head}.onnx`));
}
