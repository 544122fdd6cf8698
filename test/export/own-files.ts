/** Networks that this project exports, and imports again. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import { importNetwork } from '../../export/import/import-network.js';
import { exportClassifier, saveModel } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { modelWeights } from '../../train/run/weights.js';
import { numbers } from '../onnx/on-both.js';
import { weightsOf } from '../train/weights-of.js';

export const labels = ['ant', 'bee', 'cat', 'dog', 'eel'];

/** A network with weights and biases that are all different. */
export function network(name: string, width?: number): tfl.LayersModel {
  const model = buildNetwork(findNetwork(name), { classes: labels.length, seed: 2, width });
  modelWeights(model, 'all').forEach(({ variable }, i) => {
    tf.tidy(() => variable.assign(tf.tensor(numbers(variable.size, i + 1), variable.shape)));
  });
  return model;
}

export async function exported(
  model: tfl.LayersModel,
  name: string,
  folder: string,
  head: 'image' | 'tensor' = 'image',
) {
  const { imagePx, inputPx } = findNetwork(name);
  const mean = numbers(imagePx ** 2 * 3, 5).map((value) => 100 + 20 * value);
  const meanRgb: [number, number, number] = [101, 102, 103];
  const metadata = { model: name, labels, meanRgb, dataset: 'x', toolVersion: '0', top1Error: 0.25, top5Error: 0.125 };
  const result = await exportClassifier(model, { head, opset: 13, imagePx, inputPx, mean, metadata });
  const file = join(folder, `${name}-${head}.onnx`);
  await saveModel(result.model, file, { externalData: head === 'tensor' });
  return { file, mean };
}

/** Exports a network with either head, and imports it again. */
export async function comesBack(name: string, folder: string): Promise<void> {
  const width = name.startsWith('cifar10') ? undefined : 0.0625;
  const model = network(name, width);
  for (const head of ['image', 'tensor'] as const) {
    const { file, mean } = await exported(model, name, folder, head);
    const imported = await importNetwork(file, findNetwork(name), { width });
    assert.deepEqual(weightsOf(imported.model), weightsOf(model));
    assert.deepEqual(imported.labels, labels);
    assert.deepEqual(imported.warnings, []);
    assert.ok(typeof imported.compared === 'object' && imported.compared.maxRel < 1e-5, `${imported.compared}`);
    if (head === 'image') assert.deepEqual(imported.mean, mean);
    else assert.deepEqual([...imported.mean.subarray(0, 4)], [101, 102, 103, 101]);
    imported.model.dispose();
  }
  model.dispose();
}
