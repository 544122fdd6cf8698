/** Layers models of different kind, with random weights and every axis of another length. */
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';

const { layers } = tfl;
type Symbolic = tfl.SymbolicTensor;

const through = (layer: tfl.layers.Layer, ...inputs: Symbolic[]) =>
  layer.apply(inputs.length === 1 ? inputs[0] : inputs) as Symbolic;

/** Convolution, batch normalisation and perhaps an activation. */
function normalised(x: Symbolic, filters: number, kernelSize: number, strides: number, relu: boolean): Symbolic {
  const conv = layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false });
  const value = through(layers.batchNormalization({}), through(conv, x));
  return relu ? through(layers.reLU({ maxValue: 6 }), value) : value;
}

function mobile(): tfl.LayersModel {
  const input = tfl.input({ shape: [23, 29, 3] });
  let x = normalised(input, 8, 3, 2, true);
  for (const [filters, strides] of [
    [12, 1],
    [20, 2],
  ]) {
    const deep = layers.depthwiseConv2d({ kernelSize: 3, strides, padding: 'same', useBias: false });
    x = through(layers.reLU({ maxValue: 6 }), through(layers.batchNormalization({}), through(deep, x)));
    x = normalised(x, filters, 1, 1, true);
  }
  const pooled = through(layers.reshape({ targetShape: [1, 1, 20] }), through(layers.globalAveragePooling2d({}), x));
  const logits = through(layers.conv2d({ filters: 7, kernelSize: 1 }), through(layers.dropout({ rate: 0.2 }), pooled));
  const flat = through(layers.flatten(), logits);
  return tfl.model({ inputs: input, outputs: through(layers.softmax(), flat), name: 'mobile' });
}

function residual(): tfl.LayersModel {
  const input = tfl.input({ shape: [17, 19, 5] });
  const stem = normalised(input, 8, 3, 1, true);
  const first = normalised(normalised(stem, 8, 3, 1, true), 8, 3, 1, false);
  const joined = through(layers.reLU({}), through(layers.add(), first, stem));
  const second = normalised(normalised(joined, 12, 3, 2, true), 12, 3, 1, false);
  const shortcut = normalised(joined, 12, 1, 2, false);
  const x = through(layers.activation({ activation: 'relu' }), through(layers.add(), second, shortcut));
  const pooled = through(layers.maxPooling2d({ poolSize: 2, strides: 2 }), x);
  const dense = through(layers.dense({ units: 6 }), through(layers.flatten(), pooled));
  return tfl.model({ inputs: input, outputs: dense, name: 'residual' });
}

function inception(): tfl.LayersModel {
  const input = tfl.input({ shape: [15, 13, 4] });
  const conv = (x: Symbolic, filters: number, kernelSize: number | [number, number], dilationRate = 1) =>
    through(layers.conv2d({ filters, kernelSize, padding: 'same', activation: 'elu', dilationRate }), x);
  const pool = through(layers.averagePooling2d({ poolSize: 3, strides: 1, padding: 'same' }), input);
  const branches = [
    conv(input, 3, 1),
    conv(conv(input, 4, 1), 6, [1, 5]),
    conv(conv(input, 2, 1), 7, 3, 2),
    conv(pool, 5, 1),
  ];
  const joined = through(layers.concatenate(), ...branches);
  const up = through(layers.upSampling2d({ size: [2, 2] }), joined);
  const separated = through(
    layers.separableConv2d({ filters: 9, kernelSize: 3, strides: 2, activation: 'tanh', padding: 'same' }),
    up,
  );
  const pooled = through(layers.globalMaxPooling2d({}), through(layers.zeroPadding2d({ padding: 1 }), separated));
  return tfl.model({
    inputs: input,
    outputs: through(layers.dense({ units: 8, activation: 'sigmoid' }), pooled),
    name: 'inception',
  });
}

function perceptron(): tfl.LayersModel {
  return tfl.sequential({
    name: 'perceptron',
    layers: [
      layers.dense({ units: 31, inputShape: [11] }),
      layers.batchNormalization({}),
      layers.leakyReLU({ alpha: 0.1 }),
      layers.dropout({ rate: 0.5 }),
      layers.dense({ units: 17, activation: 'selu' }),
      layers.batchNormalization({}),
      layers.dense({ units: 5, activation: 'softmax' }),
    ],
  });
}

/** An image and a vector in, two results out. */
function twoInputs(): tfl.LayersModel {
  const image = tfl.input({ shape: [9, 7, 3], name: 'picture' });
  const facts = tfl.input({ shape: [6], name: 'facts' });
  const conv = through(layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu' }), image);
  const map = through(layers.batchNormalization({}), conv);
  const flat = through(layers.flatten(), map);
  const joined = through(
    layers.concatenate(),
    flat,
    through(layers.dense({ units: 10, activation: 'softplus' }), facts),
  );
  const score = through(layers.dense({ units: 1, name: 'score' }), joined);
  return tfl.model({ inputs: [image, facts], outputs: [score, map], name: 'two-inputs' });
}

/** Words in, through a recurrent layer whose state begins with zeros for every row. */
function recurrent(): tfl.LayersModel {
  return tfl.sequential({
    name: 'recurrent',
    layers: [
      layers.embedding({ inputDim: 19, outputDim: 6, inputShape: [5] }),
      layers.bidirectional({
        layer: layers.lstm({ units: 4, returnSequences: true, recurrentInitializer: 'zeros' }) as tfl.RNN,
        mergeMode: 'concat',
      }),
      layers.layerNormalization({}),
      layers.gru({ units: 3, recurrentInitializer: 'zeros' }),
      layers.dense({ units: 2 }),
    ],
  });
}

export const MODELS = { mobile, residual, inception, perceptron, twoInputs, recurrent };

/** Weights that are neither zero nor one, variances positive; the same for the same model. */
export function withWeights(model: tfl.LayersModel): tfl.LayersModel {
  const weights = model.weights.map((weight, i) => {
    const seed = i + 1; // tfjs draws one in place of 0
    const name = weight.originalName;
    if (name.endsWith('moving_variance')) return tf.randomUniform(weight.shape as number[], 0.5, 2, 'float32', seed);
    if (name.endsWith('gamma')) return tf.randomUniform(weight.shape as number[], 0.5, 1.5, 'float32', seed);
    return tf.randomNormal(weight.shape as number[], 0, 0.3, 'float32', seed);
  });
  model.setWeights(weights);
  tf.dispose(weights);
  return model;
}
