/**
 * Stochastic gradient descent as in Krizhevsky et al. 2012, §5:
 *   v ← 0.9 · v − 0.0005 · ε · w − ε · ∂L/∂w,   w ← w + v.
 * The velocity holds the learning rate ε: after a drop of the rate the old velocity keeps the old one, unlike
 * tf.MomentumOptimizer, which multiplies by ε outside.
 */
import { tf } from '../base/tfjs/core.js';
import { layerOfWeight, type NamedVariable } from './run/weights.js';

/** Rates of the update; see `config.ts` for their meaning. */
export interface SgdSettings {
  momentum: number;
  weightDecay: number;
  weightDecayByLayer?: Record<string, number>;
  biasLearningRateFactor?: number;
  /** The formula read literally decays biases as well; the original code does not, nor do we unless told. */
  decayBiases?: boolean;
}

interface Slot {
  weight: tf.Variable;
  velocity: tf.Variable;
  /** Scalar; null: no decay. */
  decay: tf.Scalar | null;
  rateFactor: number;
}

export class Sgd {
  /** Velocities by the name of their weight, for the checkpoint; start at 0. */
  readonly velocities: NamedVariable[];
  /** The weights that `apply` updates. */
  readonly weights: tf.Variable[];
  private readonly slots: Slot[];
  private readonly momentum: tf.Scalar;
  /** One scalar a distinct decay. */
  private readonly decays = new Map<number, tf.Scalar>();

  constructor(weights: NamedVariable[], settings: SgdSettings) {
    this.momentum = tf.keep(tf.scalar(settings.momentum));
    this.slots = weights.map(({ name, variable }) => {
      const layer = layerOfWeight(name);
      const isBias = name.endsWith('/bias');
      const layerDecay = settings.weightDecayByLayer?.[layer] ?? settings.weightDecay;
      return {
        weight: variable,
        velocity: tf.tidy(() => tf.variable(tf.zeros(variable.shape), false)),
        decay: isBias && !settings.decayBiases ? null : this.decayScalar(layerDecay),
        rateFactor: isBias ? (settings.biasLearningRateFactor ?? 1) : 1,
      };
    });
    this.weights = weights.map(({ variable }) => variable);
    this.velocities = weights.map(({ name }, index) => ({ name, variable: this.slots[index].velocity }));
  }

  /**
   * One update of every weight. Rates reach the backend as data, so a lazy backend compiles the update once.
   * @param gradients  by `variable.name`, as tf.variableGrads gives them; the caller keeps ownership
   */
  apply(gradients: tf.NamedTensorMap, learningRate: number): void {
    tf.tidy(() => {
      const rates = new Map<number, tf.Scalar>();
      for (const { weight, velocity, decay, rateFactor } of this.slots) {
        const rate = rates.get(rateFactor) ?? tf.scalar(learningRate * rateFactor);
        rates.set(rateFactor, rate);
        const gradient = gradients[weight.name];
        const slope = decay === null ? gradient : tf.add(gradient, tf.mul(weight, decay));
        velocity.assign(tf.sub(tf.mul(velocity, this.momentum), tf.mul(slope, rate)));
        weight.assign(tf.add(weight, velocity));
      }
    });
  }

  /** Frees the velocities; the weights stay with their model. */
  dispose(): void {
    tf.dispose([this.momentum, ...this.decays.values(), ...this.slots.map((slot) => slot.velocity)]);
  }

  private decayScalar(decay: number): tf.Scalar | null {
    if (decay === 0) return null;
    const scalar = this.decays.get(decay) ?? tf.keep(tf.scalar(decay));
    this.decays.set(decay, scalar);
    return scalar;
  }
}
