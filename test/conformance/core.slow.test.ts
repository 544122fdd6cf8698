import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cannotRun, EXPECTED, reasons, runSuite } from './suite.js';

it("tfjs-core's own test suite passes on the onnxruntime backend", { skip: cannotRun() ?? false }, async () => {
  const report = await runSuite('on');
  assert.deepEqual(reasons(report), []);
  assert.ok(report.passed >= EXPECTED.passed, `${report.passed} passed, expected at least ${EXPECTED.passed}`);
});
