/** Four programs of the kind people write, each a step that returns its loss; small for tests, larger to be timed. */
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { numbers, tensor } from './on-both.js';

/** One step, which reads its loss or leaves it; the caller disposes it. */
export type Step = (step: number) => tf.Scalar;

/** Everything else follows from it: layers, lengths and letters. */
type Width = number;

/** Numbers of a fixed sequence, scaled as by Glorot. */
function weights(model: tfl.LayersModel): void {
  const scaled = (weight: tf.Tensor, i: number) => {
    const fans = weight.shape.slice(-2).reduce((sum, length) => sum + length, 0);
    return weight.shape.length > 1 ? tf.mul(tensor(weight.shape, 10 + i), Math.sqrt(6 / fans)) : weight;
  };
  tf.tidy(() => model.setWeights(model.getWeights().map(scaled)));
}

const variable = (shape: number[], seed: number) =>
  tf.variable(tf.mul(tensor(shape, seed), Math.sqrt(3 / shape[0])) as tf.Tensor);

/** Logits against 1 or 0, by the sigmoid as tutorials write it. */
function crossEntropy(logits: tf.Tensor, label: 0 | 1): tf.Scalar {
  const probability = tf.sigmoid(logits);
  return tf.neg(tf.mean(tf.log(label === 1 ? probability : tf.sub(1, probability)))) as tf.Scalar;
}

const { dense, batchNormalization, leakyReLU, conv2d, conv2dTranspose, flatten, lstm, reshape } = tfl.layers;

export function gan(width: Width): Step {
  const generator = tfl.sequential({
    layers: [
      dense({ inputShape: [width], units: 4 * width }),
      batchNormalization({}),
      leakyReLU({ alpha: 0.2 }),
      dense({ units: 8 * width, activation: 'tanh' }),
    ],
  });
  const critic = tfl.sequential({
    layers: [dense({ inputShape: [8 * width], units: 4 * width }), leakyReLU({ alpha: 0.2 }), dense({ units: 1 })],
  });
  for (const model of [generator, critic]) weights(model);
  const variables = (model: tfl.LayersModel) => model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const [forGenerator, forCritic] = [tf.train.adam(0.002, 0.5), tf.train.adam(0.002, 0.5)];
  const made = (noise: tf.Tensor) => generator.apply(noise, { training: true }) as tf.Tensor;
  const judged = (x: tf.Tensor) => critic.apply(x, { training: true }) as tf.Tensor;
  return (step) =>
    tf.tidy(() => {
      const [real, noise] = [tensor([16, 8 * width], 2 * step + 1), tensor([16, width], 2 * step + 2)];
      const critical = forCritic.minimize(
        () => tf.add(crossEntropy(judged(real), 1), crossEntropy(judged(made(noise)), 0)) as tf.Scalar,
        true,
        variables(critic),
      )!;
      const creative = forGenerator.minimize(() => crossEntropy(judged(made(noise)), 1), true, variables(generator))!;
      return tf.add(critical, creative) as tf.Scalar;
    });
}

/** One block with a head of attention, from token numbers to the next token. */
export function transformer(width: Width): Step {
  const [batch, length, vocabulary] = [4, width, 4 * width];
  const [tokens, places] = [variable([vocabulary, width], 1), variable([length, width], 2)];
  const [query, key, value, out] = [3, 4, 5, 6].map((seed) => variable([width, width], seed));
  const [wide, narrow] = [variable([width, 4 * width], 7), variable([4 * width, width], 8)];
  const gain = tf.variable(tf.ones([width]));
  const mask = tf.keep(tf.sub(tf.linalg.bandPart(tf.ones([length, length]), -1, 0), 1));
  const normal = (x: tf.Tensor) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), gain);
  };
  const times = (x: tf.Tensor, w: tf.Tensor) =>
    tf.reshape(tf.matMul(tf.reshape(x, [-1, w.shape[0]]), w as tf.Tensor2D), [batch, length, w.shape[1]!]);
  const gelu = (x: tf.Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1));
  const attended = (x: tf.Tensor) => {
    const match = tf.div(tf.matMul(times(x, query), times(x, key), false, true), Math.sqrt(width));
    return times(tf.matMul(tf.softmax(tf.add(match, tf.mul(mask, 1e9))), times(x, value)), out);
  };
  const adam = tf.train.adam(0.01);
  return () => {
    const text = Int32Array.from(numbers(batch * (length + 1), 3), (x) => Math.floor((x + 1) * 0.499 * vocabulary));
    return adam.minimize(() => {
      const all = tf.tensor2d(text, [batch, length + 1], 'int32');
      const ids = tf.slice(all, [0, 0], [batch, length]);
      const next = tf.slice(all, [0, 1], [batch, length]);
      let x: tf.Tensor = tf.add(tf.gather(tokens, ids), places);
      x = tf.add(x, attended(normal(x)));
      x = tf.add(x, times(gelu(times(normal(x), wide)), narrow));
      const logits = tf.matMul(tf.reshape(normal(x), [-1, width]), tokens as tf.Tensor2D, false, true);
      const hits = tf.oneHot(tf.reshape(next, [-1]) as tf.Tensor1D, vocabulary);
      return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), hits), -1))) as tf.Scalar;
    }, true)!;
  };
}

export function vae(width: Width): Step {
  const latent = width / 2;
  const convolution = { kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' } as const;
  const encoder = tfl.sequential({
    layers: [
      conv2d({ inputShape: [width, width, 1], filters: width, ...convolution }),
      flatten(),
      dense({ units: 2 * latent }),
    ],
  });
  const decoder = tfl.sequential({
    layers: [
      dense({ inputShape: [latent], units: (width / 2) ** 2 * width, activation: 'relu' }),
      reshape({ targetShape: [width / 2, width / 2, width] }),
      conv2dTranspose({ filters: 1, ...convolution, activation: 'sigmoid' }),
    ],
  });
  for (const model of [encoder, decoder]) weights(model);
  const adam = tf.train.adam(0.005);
  const images = tf.keep(tf.square(tensor([8, width, width, 1], 3)));
  return (step) =>
    adam.minimize(() => {
      const [mean, spread] = tf.split(encoder.apply(images) as tf.Tensor2D, 2, 1);
      const z = tf.add(mean, tf.mul(tf.exp(tf.mul(spread, 0.5)), tensor([8, latent], step + 5)));
      const error = tf.sum(tf.squaredDifference(decoder.apply(z) as tf.Tensor, images));
      const divergence = tf.mul(-0.5, tf.sum(tf.sub(tf.add(1, spread), tf.add(tf.square(mean), tf.exp(spread)))));
      return tf.div(tf.add(error, divergence), 8) as tf.Scalar;
    }, true)!;
}

/** Letters in, the next letter out. */
export function text(width: Width): Step {
  const [length, letters] = [width, 2 * width];
  const model = tfl.sequential({
    layers: [
      lstm({ inputShape: [length, letters], units: 2 * width, recurrentInitializer: 'zeros', returnSequences: true }),
      lstm({ units: 2 * width, recurrentInitializer: 'zeros' }),
      dense({ units: letters, activation: 'softmax' }),
    ],
  });
  weights(model);
  const optimizer = tf.train.rmsprop(0.005);
  const ids = Int32Array.from({ length: 8 * length }, (_, i) => (i * 7) % letters);
  const x = tf.keep(tf.oneHot(tf.tensor2d(ids, [8, length], 'int32'), letters));
  const y = tf.keep(tf.oneHot(tf.tensor1d(ids.subarray(0, 8), 'int32'), letters));
  return () =>
    optimizer.minimize(() => tf.mean(tfl.metrics.categoricalCrossentropy(y, model.apply(x) as tf.Tensor)), true)!;
}

export const FOUR_PROGRAMS = { gan, transformer, vae, text };
