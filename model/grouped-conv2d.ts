/**
 * Grouped convolution, which tfjs lacks (tensorflow/tfjs#3900): channels in `groups` parts, each convolved with its own
 * part of the kernel (Krizhevsky et al. 2012, §3.5: the kernels of conv2, conv4 and conv5 see one GPU's maps). A
 * backend may register the kernels `GroupedConv2D`, `GroupedConv2DBackpropInput` and `GroupedConv2DBackpropFilter`,
 * with the inputs and attributes given here; on every other backend it is composed of split, conv2d and concat, and its
 * gradient follows.
 */
import { ShapeError } from '../base/errors.js';
import { tf } from '../base/tfjs/core.js';

const KERNEL = 'GroupedConv2D';

/** Attributes of the three kernels; the gradients' add `inputShape` or `filterShape`. */
export type GroupedConv2DAttrs = {
  strides: [number, number];
  pad: number | 'same' | 'valid';
  groups: number;
  dataFormat: 'NHWC';
  dilations: [number, number];
};

/**
 * @param x       float32 [N, H, W, C]
 * @param kernel  HWIO with the inputs of one group: float32 [kh, kw, C / groups, out]
 * @param pad     as in tf.conv2d; by number for square windows and equal strides only: tfjs takes the height's for both axes
 * @returns       float32 [N, H', W', out]; group g of the output is made of group g of the input
 * @throws {ShapeError} when C, the kernel's inputs and out do not agree with `groups`
 */
export function groupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  strides: [number, number],
  pad: number | 'same' | 'valid',
  groups: number,
): tf.Tensor4D {
  if (x.shape[3] !== kernel.shape[2] * groups || kernel.shape[3] % groups !== 0) {
    throw new ShapeError(
      `grouped conv2d: expected kernel HWIO [kh, kw, ${x.shape[3]} / ${groups}, a multiple of ${groups}] for input NHWC ` +
        `[${x.shape}], got [${kernel.shape}]`,
    );
  }
  if (groups === 1) return convolved(x, kernel, strides, pad);
  if (tf.getKernel(KERNEL, tf.getBackend()) == null) return composed(x, kernel, strides, pad, groups);
  const attrs: GroupedConv2DAttrs = { strides, pad, groups, dataFormat: 'NHWC', dilations: [1, 1] };
  return tf.engine().runKernel(KERNEL, { x, filter: kernel }, attrs) as tf.Tensor4D;
}

function composed(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  strides: [number, number],
  pad: number | 'same' | 'valid',
  groups: number,
): tf.Tensor4D {
  const kernels = tf.split<tf.Tensor4D>(kernel, groups, 3);
  const parts = tf.split<tf.Tensor4D>(x, groups, 3).map((part, group) => convolved(part, kernels[group], strides, pad));
  return tf.concat(parts, 3);
}

/**
 * tf.conv2d. tfjs-node has no gradient kernels for padding by number (4.22: "supports only 'valid' and 'same'
 * padding"): there it is `same` if that means the same zeros, else zeros put around x beforehand.
 */
function convolved(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  strides: [number, number],
  pad: number | 'same' | 'valid',
): tf.Tensor4D {
  if (typeof pad !== 'number' || pad === 0 || tf.getBackend() !== 'tensorflow')
    return tf.conv2d(x, kernel, strides, pad);
  const isSame = strides.every((stride, axis) => stride === 1 && kernel.shape[axis] === 2 * pad + 1);
  if (isSame) return tf.conv2d(x, kernel, strides, 'same');
  const edge: [number, number] = [pad, pad];
  return tf.conv2d(tf.pad(x, [[0, 0], edge, edge, [0, 0]]), kernel, strides, 'valid');
}

tf.registerGradient({
  kernelName: KERNEL,
  inputsToSave: ['x', 'filter'],
  gradFunc: (dy, [x, filter], attrs) => {
    const run = (kernel: string, inputs: tf.NamedTensorMap, shape: Record<string, number[]>) =>
      tf.engine().runKernel(kernel, inputs, { ...attrs, ...shape }) as tf.Tensor;
    return {
      x: () => run(`${KERNEL}BackpropInput`, { dy: dy as tf.Tensor, filter }, { inputShape: x.shape }),
      filter: () => run(`${KERNEL}BackpropFilter`, { x, dy: dy as tf.Tensor }, { filterShape: filter.shape }),
    };
  },
});
