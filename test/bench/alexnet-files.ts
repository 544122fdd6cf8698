/**
 * AlexNet of 1000 classes with random weights in both heads: `node alexnet-files.js FOLDER [WIDTH] [int8]` writes
 * `image.onnx` and `tensor.onnx`, and if asked `int8.onnx`, the first in 8 bits. A process of its own, so that what measures
 * stays free of tfjs.
 */
import { join } from 'node:path';
import { exportClassifier } from '../../export/classifier.js';
import { quantize } from '../../export/precision/quantize.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { type OnnxModel, saveModel } from '../../onnx/file/onnx-model.js';
import * as ort from '../../onnx/onnxruntime.js';
import { decodeImage } from '../../serve/inference/image/decode.js';
import { photographs } from './photographs.js';

const CLASSES = 1000;
const IMAGE_PX = 256;
/** Photographs to calibrate on. */
const CALIBRATED = 8;
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
  if (head === 'image' && process.argv.includes('int8'))
    await saveModel(await inInt8(exported), join(process.argv[2], 'int8.onnx'));
}

async function inInt8(model: OnnxModel): Promise<OnnxModel> {
  const decoding = { width: IMAGE_PX, height: IMAGE_PX, channels: 3, fit: 'cut' } as const;
  const some = (await photographs()).slice(0, CALIBRATED);
  const pixels = await Promise.all(some.map((bytes) => decodeImage(bytes, decoding, Number.MAX_SAFE_INTEGER)));
  const at = (first: number, rows: number) => {
    const data = Uint8Array.from(Buffer.concat(pixels.slice(first, first + rows)));
    return { image: new ort.Tensor('uint8', data, [rows, IMAGE_PX, IMAGE_PX, 3]) };
  };
  return quantize(model, { count: pixels.length, at }, { method: 'minmax', reduceRange: false, keepFloat: [] });
}
