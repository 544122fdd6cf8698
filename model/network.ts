/** Builds a network's table as a tf.LayersModel. */
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { GroupedConv2D } from './conv-layer.js';
import { SeededDropout } from './dropout.js';
import { type BuildOptions, type ConcreteRow, concreteRows, layerSize, type Output } from './geometry.js';
import { drawWeights } from './init.js';
import { LocallyConnected2D } from './local-layer.js';
import { LocalResponseNormalization } from './lrn.js';
import type { NetworkSpec } from './spec.js';
import { WithinMapNorm } from './within-map-norm.js';

export type { LrnConvention, NetworkName, NetworkSpec, Recipe } from './spec.js';

/**
 * Layers have the table's names, and a layer `flatten` (h, w, c order) stands before the first fully connected one.
 * Weights are `conv1/kernel`, `conv1/bias`, … by `originalName`; if a process builds two networks, tfjs appends `_1` to
 * `name`.
 *
 * @returns  a model from `input`, float32 NHWC [N, inputPx, inputPx, 3], the mean image subtracted from 0 … 255, to
 *   logits
 *           [N, classes]; there is no softmax. Dropout acts under `apply(x, { training: true })` only, see `reseedDropout`
 * @throws {UserError} when an option is out of range
 * @throws {ShapeError} when `width` leaves channels that do not divide into groups
 */
export function buildNetwork(spec: NetworkSpec, options: BuildOptions): tfl.LayersModel {
  const rows = concreteRows(spec, options);
  const input = tfl.input({ shape: [spec.inputPx, spec.inputPx, 3], name: 'input' });
  let value = input;
  let output: Output = [spec.inputPx, spec.inputPx, 3];
  for (const row of rows) {
    if (row.type === 'fc' && output.length === 3) value = through(tfl.layers.flatten({ name: 'flatten' }), value);
    output = layerSize(row, output).output; // checks the row
    value = through(layerOf(row), value);
  }
  const model = tfl.model({ inputs: input, outputs: value, name: spec.name });
  for (const row of rows) {
    if (!('stddev' in row) || options.drawn?.includes(row.name) === false) continue;
    drawWeights(model.getLayer(row.name), row.stddev, row.bias, options.seed);
  }
  return model;
}

function through(layer: tfl.layers.Layer, value: tfl.SymbolicTensor): tfl.SymbolicTensor {
  return layer.apply(value) as tfl.SymbolicTensor;
}

/** tfjs's zeros, made when they are first read: `drawWeights` or a checkpoint puts others in their place before. */
function unsetKernel(): ReturnType<typeof tfl.initializers.zeros> {
  return Object.assign(tfl.initializers.zeros(), {
    apply: (shape: number[], dtype?: tf.DataType) => tf.fill(shape, 0, dtype),
  });
}

function layerOf(row: ConcreteRow): tfl.layers.Layer {
  switch (row.type) {
    case 'conv':
      return new GroupedConv2D({ ...row, stride: row.stride ?? 1, groups: row.groups ?? 1 });
    case 'local':
      return new LocallyConnected2D(row);
    case 'fc':
      return tfl.layers.dense({
        name: row.name,
        units: row.units,
        activation: row.relu ? 'relu' : 'linear',
        kernelInitializer: unsetKernel(),
      });
    case 'maxpool':
      return tfl.layers.maxPooling2d({ name: row.name, poolSize: row.size, strides: row.stride, padding: row.pad });
    case 'avgpool':
      return tfl.layers.averagePooling2d({ name: row.name, poolSize: row.size, strides: row.stride, padding: row.pad });
    case 'lrn':
      return new LocalResponseNormalization(row);
    case 'rnorm':
      return new WithinMapNorm(row);
    case 'relu':
    case 'tanh':
      return tfl.layers.activation({ name: row.name, activation: row.type });
    case 'dropout':
      return new SeededDropout(row);
  }
}
