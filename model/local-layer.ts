/**
 * Layer `LocallyConnected2D`: a convolution with stride 1 whose kernel and bias are another at every place
 * (cuda-convnet `local`). Weights `kernel` [places, kh · kw · C, channels], rows in order h, w, c of the window and
 * places row by row, and `bias` [places, channels], both 0 until `network.ts` draws them.
 */
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { outputSize } from './geometry.js';
import { single } from './single-input.js';

export interface LocallyConnected2DArgs {
  name?: string;
  /** Channels of the output. */
  channels: number;
  /** Side of the window. */
  kernel: number;
  /** Zeros on each side, pixels. */
  pad: number;
  /** Ends with max(0, x). */
  relu: boolean;
}

/**
 * @param x       float32 [N, H, W, C]
 * @param kernel  float32 [H' · W', side · side · C, channels]
 * @param bias    float32 [H' · W', channels]
 * @param side    of the window
 * @returns       float32 [N, H', W', channels], H' = H − side + 2 · pad + 1
 */
export function locallyConnected2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor3D,
  bias: tf.Tensor2D,
  side: number,
  pad: number,
): tf.Tensor4D {
  const [batch, height, width, inChannels] = x.shape;
  const [outHeight, outWidth] = [outputSize(height, side, 1, pad), outputSize(width, side, 1, pad)];
  const edge: [number, number] = [pad, pad];
  const padded = tf.pad(x, [[0, 0], edge, edge, [0, 0]]);
  const taps: tf.Tensor4D[] = [];
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) taps.push(tf.slice(padded, [0, i, j, 0], [batch, outHeight, outWidth, inChannels]));
  }
  const columns = tf.reshape(tf.concat(taps, 3), [batch, kernel.shape[0], kernel.shape[1]]); // h, w, c of each window
  const products = tf.matMul(tf.transpose(columns, [1, 0, 2]), kernel); // [places, N, channels]
  const biased = tf.add(tf.transpose(products, [1, 0, 2]), bias);
  return tf.reshape(biased, [batch, outHeight, outWidth, kernel.shape[2]]);
}

export class LocallyConnected2D extends tfl.layers.Layer {
  static className = 'LocallyConnected2D';
  private kernel!: tfl.LayerVariable;
  private bias!: tfl.LayerVariable;

  constructor(private readonly args: LocallyConnected2DArgs) {
    super(args);
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const { kernel, channels } = this.args;
    const [, height, width] = this.computeOutputShape(inputShape) as number[];
    const inputs = kernel * kernel * (inputShape as number[])[3];
    const zeros = tfl.initializers.zeros();
    this.kernel = this.addWeight('kernel', [height * width, inputs, channels], 'float32', zeros);
    this.bias = this.addWeight('bias', [height * width, channels], 'float32', zeros);
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [batch, height, width] = inputShape as number[];
    const { kernel, pad, channels } = this.args;
    return [batch, outputSize(height, kernel, 1, pad), outputSize(width, kernel, 1, pad), channels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { kernel, pad, relu } = this.args;
    return tf.tidy(() => {
      const weights = [this.kernel.read() as tf.Tensor3D, this.bias.read() as tf.Tensor2D] as const;
      const y = locallyConnected2d(single(inputs) as tf.Tensor4D, ...weights, kernel, pad);
      return relu ? tf.relu(y) : y;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { channels, kernel, pad, relu } = this.args;
    return { ...super.getConfig(), channels, kernel, pad, relu };
  }
}

tf.serialization.registerClass(LocallyConnected2D);
