/** Numbers among a kernel's attributes that change from step to step do not make each step another program. */
import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { compilationCount } from '../../onnx/backend/compile.js';
import { compileAlways } from '../../onnx/backend/eager.js';
import '../../onnx/backend/index.js';
import { tensor } from './on-both.js';

const STEPS = 12;

/** Made so that each is a program of its own, too heavy for the cpu kernels: with a convolution. */
const heavy = () => tf.sum(tf.conv2d(tensor<tf.Rank.R4>([1, 9, 9, 8]), tensor<tf.Rank.R4>([3, 3, 8, 8], 2), 1, 'same'));

const PROGRAMS: Record<string, (step: number) => tf.Tensor> = {
  'where a slice begins': (step) => tf.slice(tensor([STEPS * 3, 5, 4]), [step * 3, step % 2, 0], [3, 4, -1]),
  'where a slice of what lies in another order begins': (step) =>
    tf.slice(
      tf.conv2d(tensor<tf.Rank.R4>([2, 9, 20, 3]), tensor<tf.Rank.R4>([2, 3, 3, 6], 4), 1, 'same'),
      [0, step % 3, step, step % 2],
      [-1, 4, 5, 5],
    ),
  'where the gradient of a slice lies': (step) =>
    tf.grad((x) => tf.sum(tf.mul(tf.slice(x, [step * 2, step % 3], [2, 4]), tensor([2, 4], 5))))(tensor([40, 7])),
  'entries before and after': (step) =>
    tf.pad(
      tensor([3, 4, 2]),
      [
        [step, STEPS - step],
        [0, 0],
        [step % 2, 1 - (step % 2)],
      ],
      7,
    ),
  'what a tensor is filled with': (step) =>
    tf.concat([tf.fill([3, 2], step * 1.5), tf.tile(tf.reshape(tf.fill([], step), [1, 1]), [3, 1])], 1),
  'bounds of a clip': (step) => tf.clipByValue(tensor([4, 5]), step / 20 - 0.5, step / 15),
  'a range': (step) => tf.mul(tf.range(step, step + 5), 2),
};

async function values(backend: string, program: (step: number) => tf.Tensor): Promise<number[][]> {
  await tf.setBackend(backend);
  return Array.from({ length: STEPS }, (_, step) =>
    tf.tidy(() => Array.from(tf.add(program(step), tf.mul(heavy(), 0)).dataSync())),
  );
}

describe('numbers that change from step to step', () => {
  let wasAlways = false;
  before(() => {
    wasAlways = compileAlways(false);
  });
  after(() => compileAlways(wasAlways));

  for (const [name, program] of Object.entries(PROGRAMS))
    it(`are an input of one program: ${name}`, async () => {
      const expected = await values('cpu', program);
      const before = compilationCount();
      const actual = await values('onnxruntime', program);
      assert.ok(compilationCount() - before <= 7, `${compilationCount() - before} programs for ${STEPS} steps`);
      for (const [step, row] of actual.entries())
        for (const [i, value] of row.entries())
          assert.ok(
            Math.abs(value - expected[step][i]) < 1e-4,
            `step ${step}: ${value}, expected ${expected[step][i]}`,
          );
    });
});
