/** `npm run test:conformance`: tfjs-core's own suite on the onnxruntime backend, with delegation and without. */
import { cannotRun, EXPECTED, reasons, runSuite } from './suite.js';

const skipped = cannotRun();
if (skipped) console.log(`skipped: ${skipped}`);
else {
  const on = await runSuite('on');
  console.log(`delegation on: ${on.passed} passed, ${on.failed} failed, ${on.skipped} skipped`);
  for (const [reason, specs] of reasons(on)) console.log(`  ${specs} ${reason}`);
  const off = await runSuite('off');
  console.log(`delegation off for kernels with a rule: ${off.passed} passed; ${off.failed} met a refusal:`);
  for (const [reason, specs] of reasons(off)) console.log(`  ${specs} ${reason}`);
  if (on.failed > 0 || on.passed < EXPECTED.passed || off.passed < EXPECTED.passedWithoutDelegation)
    process.exitCode = 1;
}
