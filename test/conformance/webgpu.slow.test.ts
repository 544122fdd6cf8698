import assert from 'node:assert/strict';
import { it } from 'node:test';
import { onSwiftshader, withoutSwiftshader } from '../onnx/swiftshader.js';
import { cannotRun, EXPECTED, runSuite } from './suite.js';

/** Files of the specs that fail for reasons that docs/backend.md gives: NaN and infinities, sines. */
const EXPLAINED =
  /^(debug_mode|acosh|arithmetic|asinh|atanh|clip_by_value|cos|log|log_loss|relu|softmax|tan|topk)_test$/;

const skip = cannotRun() ?? withoutSwiftshader;
it("tfjs-core's own test suite passes on WebGPU but for NaN, infinities and the accuracy of sines", {
  skip,
}, async () => {
  const { passed, failed, files } = await runSuite('on', onSwiftshader);
  const failures = files.flatMap(({ file, failures }) => failures.map(({ name, msg }) => ({ file, name, msg })));
  const name = (file: string) => file.split('/').at(-1)!.replace(/\.js$/, '');
  assert.deepEqual(
    failures.filter(({ file }) => !EXPLAINED.test(name(file))),
    [],
  );
  assert.deepEqual({ passed, failed }, EXPECTED.onWebgpu);
});
