/** The networks' own files, a quarter as wide and of five classes, so that software can compute them as a GPU would. */

import type { CropCount } from '../../base/crops.js';
import { exportClassifier } from '../../export/classifier.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { type OnnxModel, saveModel } from '../../onnx/file/onnx-model.js';

const LABELS = ['ant', 'bee', 'cat', 'dog', 'elk'];

/** Writes a network with random weights and the image head, in another form if there is a `convert`. */
export async function writeNetwork(
  file: string,
  name: string,
  crops: CropCount,
  convert = (model: OnnxModel) => model,
): Promise<string> {
  await selectBackend('onnxruntime', 'cpu');
  const spec = findNetwork(name);
  const { imagePx, inputPx } = spec;
  const model = buildNetwork(spec, { classes: LABELS.length, width: 0.25, seed: 3 });
  const mean = new Float32Array(imagePx ** 2 * 3).fill(120);
  const meanRgb: [number, number, number] = [120, 120, 120];
  const { model: exported } = await exportClassifier(model, {
    head: 'image',
    crops,
    opset: 13,
    imagePx,
    inputPx,
    mean,
    metadata: { model: name, labels: LABELS, meanRgb, dataset: 'none', toolVersion: '0.0.0' },
  });
  await saveModel(convert(exported), file);
  model.dispose();
  return file;
}
