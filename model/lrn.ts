/**
 * Local response normalisation across channels (Krizhevsky et al. 2012, §3.3):
 *   b_i = a_i / (k + α · Σ_j a_j²)^β,  j from i − depthRadius to i + depthRadius, clipped.
 * tfjs and this layer do not divide α by the window; Caffe, PyTorch and ONNX do.
 */
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { single } from './single-input.js';

export interface LrnArgs {
  name?: string;
  /** (n − 1) / 2 of the paper's window n. */
  depthRadius: number;
  /** k. */
  bias: number;
  alpha: number;
  beta: number;
}

/** Float32 [N, H, W, C] to the same shape. */
export class LocalResponseNormalization extends tfl.layers.Layer {
  static className = 'LocalResponseNormalization';

  constructor(private readonly args: LrnArgs) {
    super(args);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { depthRadius, bias, alpha, beta } = this.args;
    return tf.tidy(() => tf.localResponseNormalization(single(inputs) as tf.Tensor4D, depthRadius, bias, alpha, beta));
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { depthRadius, bias, alpha, beta } = this.args;
    return { ...super.getConfig(), depthRadius, bias, alpha, beta };
  }
}

tf.serialization.registerClass(LocalResponseNormalization);
