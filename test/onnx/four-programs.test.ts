import '../../base/tfjs/backend-cpu.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { compilationCount } from '../../onnx/backend/compile.js';
import { compileAlways } from '../../onnx/backend/eager.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { FOUR_PROGRAMS, type Step } from './four-programs.js';

const STEPS = 5;

async function losses(backend: string, program: () => Step): Promise<number[]> {
  await tf.setBackend(backend);
  const step = program();
  return Array.from({ length: STEPS }, (_, i) => tf.tidy(() => step(i).dataSync()[0]));
}

describe('programs that people write', () => {
  for (const [name, program] of Object.entries(FOUR_PROGRAMS)) {
    it(`learn as on the cpu backend, step by step: ${name}`, async () => {
      const expected = await losses('cpu', () => program(8));
      assert.ok(expected.at(-1)! < expected[0], `the loss does not fall: ${expected}`);
      for (const always of [true, false]) {
        const before = { always: compileAlways(always), delegated: kernelCounts().delegated };
        const actual = await losses('onnxruntime', () => program(8));
        compileAlways(before.always);
        assert.deepEqual(kernelCounts().delegated, before.delegated, 'a kernel was delegated');
        // Five updates of float32 sums in another order, divided by square roots of small numbers.
        for (const [i, loss] of actual.entries())
          assert.ok(Math.abs(loss / expected[i] - 1) < 2e-3, `step ${i}: ${loss}, expected ${expected[i]}`);
      }
    });

    it(`are compiled once where no step is read: ${name}`, async () => {
      await tf.setBackend('onnxruntime');
      const before = compileAlways(true);
      const step = program(8);
      const steps = (from: number, to: number) => {
        for (let i = from; i < to; i++) step(i).dispose();
      };
      steps(0, 4);
      const compiled = compilationCount();
      steps(4, 8);
      compileAlways(before);
      assert.equal(compilationCount(), compiled);
      assert.ok(Number.isFinite(tf.tidy(() => step(8).dataSync()[0])));
    });
  }
});
