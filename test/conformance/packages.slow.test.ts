/**
 * The suites of tfjs-layers, tfjs-converter and tfjs-data, which their npm packages do not hold: from a checkout of
 * tensorflow/tfjs, ../shared/tfjs or ALEXNET_TFJS. Some specs fail on every backend of Node; none may fail on ours alone.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CHECKOUT = process.env.ALEXNET_TFJS ?? join(ROOT, '../shared/tfjs');

interface Report {
  passed: number;
  failures: { name: string; message: string }[];
}

async function runPackage(name: string, backend: string): Promise<Report> {
  const child = fork(fileURLToPath(new URL('package-suite-child.js', import.meta.url)), [CHECKOUT, name, backend], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code]) => assert.fail(`the suite of tfjs-${name} ended with ${code}`));
  const [report] = await Promise.race([once(child, 'message'), ended]);
  return report as Report;
}

for (const name of ['layers', 'converter', 'data']) {
  const folder = join(CHECKOUT, `tfjs-${name}`, 'src');
  const skip = existsSync(folder) ? false : `tfjs-${name}'s suite needs ${folder}; set ALEXNET_TFJS to a checkout`;
  it(`tfjs-${name}'s own test suite passes as it does on the cpu backend`, { skip }, async () => {
    const [ours, cpu] = [await runPackage(name, 'onnxruntime'), await runPackage(name, 'cpu')];
    const known = new Set(cpu.failures.map((failure) => failure.name));
    assert.deepEqual(
      ours.failures.filter((failure) => !known.has(failure.name)),
      [],
    );
    assert.equal(ours.passed, cpu.passed);
  });
}
