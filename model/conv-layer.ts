/**
 * Layer `GroupedConv2D`: convolution with groups and with padding by number, neither of which tfjs's own Conv2D layer
 * has. Weights `kernel`, HWIO [kh, kw, C / groups, channels], and `bias` [channels], both 0 until `network.ts` draws
 * them.
 */
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { outputSize } from './geometry.js';
import { groupedConv2d } from './grouped-conv2d.js';
import { single } from './single-input.js';

export interface GroupedConv2DArgs {
  name?: string;
  /** Channels of the output. */
  channels: number;
  /** Side of the window. */
  kernel: number;
  stride: number;
  /** Zeros on each side, pixels. */
  pad: number;
  groups: number;
  /** Ends with max(0, x). */
  relu: boolean;
}

export class GroupedConv2D extends tfl.layers.Layer {
  static className = 'GroupedConv2D';
  private kernel!: tfl.LayerVariable;
  private bias!: tfl.LayerVariable;

  constructor(private readonly args: GroupedConv2DArgs) {
    super(args);
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const { kernel, channels, groups } = this.args;
    const inChannels = (inputShape as number[])[3];
    const zeros = tfl.initializers.zeros();
    this.kernel = this.addWeight('kernel', [kernel, kernel, inChannels / groups, channels], 'float32', zeros);
    this.bias = this.addWeight('bias', [channels], 'float32', zeros);
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [batch, height, width] = inputShape as number[];
    const { kernel, stride, pad, channels } = this.args;
    return [batch, outputSize(height, kernel, stride, pad), outputSize(width, kernel, stride, pad), channels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { stride, pad, groups, relu } = this.args;
    return tf.tidy(() => {
      const x = single(inputs) as tf.Tensor4D;
      const y = groupedConv2d(x, this.kernel.read() as tf.Tensor4D, [stride, stride], pad, groups);
      const biased = tf.add(y, this.bias.read());
      return relu ? tf.relu(biased) : biased;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { channels, kernel, stride, pad, groups, relu } = this.args;
    return { ...super.getConfig(), channels, kernel, stride, pad, groups, relu };
  }
}

tf.serialization.registerClass(GroupedConv2D);
