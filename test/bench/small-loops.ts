/** Loops of many small steps, no two of which need be alike: where compiling each is slower than computing it. */
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import type { Step } from '../onnx/four-programs.js';
import { tensor } from '../onnx/on-both.js';

/** A length between two others, without a pattern. */
const lengthAt = (step: number, least: number, most: number) =>
  least + ((Math.imul(step + 1, 2654435761) >>> 8) % (most - least + 1));

/** An episode of cartpole: an action a time, then an update on as many rows as there were times. */
function cartpole(): Step {
  const model = tfl.sequential({
    layers: [tfl.layers.dense({ inputShape: [4], units: 32, activation: 'elu' }), tfl.layers.dense({ units: 2 })],
  });
  const adam = tf.train.adam(0.01);
  return (step) => {
    const times = lengthAt(step, 8, 60);
    for (let i = 0; i < times; i++) tf.tidy(() => (model.predict(tensor([1, 4], i)) as tf.Tensor).dataSync());
    return tf.tidy(() => {
      const [states, rewards] = [tensor([times, 4], step), tensor([times], step)];
      const actions = tf.oneHot(tf.tensor1d(new Int32Array(times).map((_, i) => i % 2)), 2);
      return adam.minimize(() => {
        const chosen = tf.sum(tf.mul(tf.logSoftmax(model.apply(states) as tf.Tensor), actions), 1);
        return tf.neg(tf.mean(tf.mul(chosen, rewards))) as tf.Scalar;
      }, true)!;
    });
  };
}

/** Sentences of 5 to 35 words. */
function lengths(): Step {
  const model = tfl.sequential({
    layers: [
      tfl.layers.lstm({ inputShape: [null, 8], units: 16, recurrentInitializer: 'zeros' }),
      tfl.layers.dense({ units: 1 }),
    ],
  });
  const adam = tf.train.adam(0.01);
  return (step) =>
    tf.tidy(() => {
      const x = tensor([16, lengthAt(step, 5, 35), 8], step);
      return adam.minimize(() => tf.mean(tf.square(model.apply(x) as tf.Tensor)) as tf.Scalar, true)!;
    });
}

/** Batches cut out of a large tensor. */
function slices(): Step {
  const [all, weight] = [tensor<tf.Rank.R2>([64 * 32, 16], 1), tf.variable(tensor<tf.Rank.R2>([16, 4], 2))];
  const sgd = tf.train.sgd(0.01);
  return (step) =>
    sgd.minimize(() => {
      const batch = tf.slice(all, [(step % 64) * 32, 0], [32, 16]);
      return tf.mean(tf.square(tf.matMul(batch, weight))) as tf.Scalar;
    }, true)!;
}

export const SMALL_LOOPS = { cartpole, lengths, slices };
