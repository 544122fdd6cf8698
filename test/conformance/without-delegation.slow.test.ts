import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cannotRun, EXPECTED, reasons, runSuite } from './suite.js';

const title =
  "tfjs-core's own test suite passes as far as docs/backend.md says where no kernel with a rule is delegated";
it(title, { skip: cannotRun() ?? false }, async () => {
  const report = await runSuite('off');
  assert.equal(report.passed, EXPECTED.passedWithoutDelegation);
  assert.ok(
    reasons(report).every(([reason]) => /^\w+ \(.+\)$/.test(reason)),
    'every failure is a refusal with its reason',
  );
});
