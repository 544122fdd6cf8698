import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import '../../base/tfjs/layers.js'; // registers the gradients of tfjs's own kernels
import { ShapeError } from '../../base/errors.js';
import { groupedConv2d } from '../../model/grouped-conv2d.js';
import { assertClose, at, noise } from './close.js';

type Shape4 = [number, number, number, number];

/** A convolution in two groups of images [2, 5, 7, 6]. */
interface Geometry {
  kernel: Shape4;
  strides: [number, number];
  pad: number | 'valid';
  output: Shape4;
}

const X: Shape4 = [2, 5, 7, 6];
const GROUPS = 2;
/** (5 − 3 + 2) / 2 + 1 and (7 − 3 + 2) / 2 + 1. */
const PADDED: Geometry = { kernel: [3, 3, 3, 4], strides: [2, 2], pad: 1, output: [2, 3, 4, 4] };
/** (5 − 3) / 2 + 1 and (7 − 2) / 1 + 1. */
const OBLONG: Geometry = { kernel: [3, 2, 3, 4], strides: [2, 1], pad: 'valid', output: [2, 2, 6, 4] };

/** Output channel o belongs to group ⌊o / (out / groups)⌋ and sees that group's inputs only. */
function slowGroupedConv(x: ArrayLike<number>, kernel: ArrayLike<number>, g: Geometry): number[] {
  const [kh, kw, inPerGroup, channels] = g.kernel;
  const pad = g.pad === 'valid' ? 0 : g.pad;
  const y: number[] = [];
  for (let p = 0; p < g.output[0]; p++)
    for (let r = 0; r < g.output[1]; r++)
      for (let c = 0; c < g.output[2]; c++)
        for (let o = 0; o < channels; o++) {
          const firstInput = Math.floor(o / (channels / GROUPS)) * inPerGroup;
          let sum = 0;
          for (let i = 0; i < kh; i++)
            for (let j = 0; j < kw; j++)
              for (let k = 0; k < inPerGroup; k++) {
                const [row, column] = [r * g.strides[0] + i - pad, c * g.strides[1] + j - pad];
                if (row < 0 || row >= X[1] || column < 0 || column >= X[2]) continue;
                sum += x[at(X, p, row, column, firstInput + k)] * kernel[at(g.kernel, i, j, k, o)];
              }
          y.push(sum);
        }
  return y;
}

function setUp(g: Geometry) {
  const x = noise<tf.Rank.R4>('grouped x', X);
  const kernel = noise<tf.Rank.R4>('grouped kernel', g.kernel);
  const conv = (a: tf.Tensor, b: tf.Tensor) =>
    groupedConv2d(a as tf.Tensor4D, b as tf.Tensor4D, g.strides, g.pad, GROUPS);
  return { x, kernel, conv };
}

for (const [name, geometry] of Object.entries({ padded: PADDED, oblong: OBLONG })) {
  test(`convolves each group of channels with its own kernels, ${name}`, () => {
    const { x, kernel, conv } = setUp(geometry);
    const y = conv(x, kernel);
    assert.deepEqual(y.shape, geometry.output);
    // sums of up to 27 products
    assertClose(y.dataSync(), slowGroupedConv(x.dataSync(), kernel.dataSync(), geometry), 1e-5);
  });

  test(`has the gradient of its finite differences, ${name}`, () => {
    const { x, kernel, conv } = setUp(geometry);
    const weight = noise('grouped weight', geometry.output);
    const loss = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(conv(a, b), weight)) as tf.Scalar;
    const [dx, dKernel] = tf.grads(loss)([x, kernel]);
    // The loss is linear in each argument, so a difference over a step as large as 1 is exact but for rounding.
    const differences = (tensor: tf.Tensor, lossOf: (moved: tf.Tensor) => tf.Scalar) => {
      const values = tensor.dataSync();
      return Array.from(values, (_, i) => {
        const moved = (by: number) =>
          tf.tensor(
            Float32Array.from(values, (v, j) => (j === i ? v + by : v)),
            tensor.shape,
          );
        return tf.tidy(() => lossOf(moved(0.5)).dataSync()[0] - lossOf(moved(-0.5)).dataSync()[0]);
      });
    };
    // losses near 100 in float32
    assertClose(
      dx.dataSync(),
      differences(x, (moved) => loss(moved, kernel)),
      2e-4,
    );
    assertClose(
      dKernel.dataSync(),
      differences(kernel, (moved) => loss(x, moved)),
      2e-4,
    );
  });
}

test('refuses a kernel that does not fit the groups', () => {
  const { x, kernel } = setUp(PADDED);
  assert.throws(
    () => groupedConv2d(x, kernel, PADDED.strides, 1, 3),
    (error: Error) =>
      error instanceof ShapeError &&
      error.message ===
        'grouped conv2d: expected kernel HWIO [kh, kw, 6 / 3, a multiple of 3] for input NHWC [2,5,7,6], got [3,3,3,4]',
  );
});

const KERNELS = ['GroupedConv2D', 'GroupedConv2DBackpropInput', 'GroupedConv2DBackpropFilter'];
afterEach(() => {
  for (const kernelName of KERNELS) if (tf.getKernel(kernelName, 'cpu') != null) tf.unregisterKernel(kernelName, 'cpu');
});

test('runs the kernels of a backend that has them, forward and backward', () => {
  const { x, kernel, conv } = setUp(PADDED);
  const calls: Record<string, unknown> = {};
  for (const [number, kernelName] of KERNELS.entries()) {
    const shape = [PADDED.output, X, PADDED.kernel][number];
    const kernelFunc: tf.KernelFunc = (call) => {
      const shapes = Object.entries(call.inputs).map(([name, tensor]) => [name, tensor!.shape]);
      calls[kernelName] = { ...Object.fromEntries(shapes), attrs: call.attrs };
      const values = new Float32Array(tf.util.sizeFromShape(shape)).fill(number + 1);
      return (call.backend as MathBackendCPU).makeTensorInfo(shape, 'float32', values);
    };
    tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc });
  }
  const { value, grads } = tf.valueAndGrads((a: tf.Tensor, b: tf.Tensor) => tf.sum(conv(a, b)))([x, kernel]);
  assert.equal(value.dataSync()[0], 2 * 3 * 4 * 4);
  assert.deepEqual([...new Set(grads[0].dataSync())], [2]);
  assert.deepEqual([...new Set(grads[1].dataSync())], [3]);
  const attrs = { strides: [2, 2], pad: 1, groups: 2, dataFormat: 'NHWC', dilations: [1, 1] };
  assert.deepEqual(calls, {
    GroupedConv2D: { x: X, filter: PADDED.kernel, attrs },
    GroupedConv2DBackpropInput: { dy: PADDED.output, filter: PADDED.kernel, attrs: { ...attrs, inputShape: X } },
    GroupedConv2DBackpropFilter: { x: X, dy: PADDED.output, attrs: { ...attrs, filterShape: PADDED.kernel } },
  });
});
