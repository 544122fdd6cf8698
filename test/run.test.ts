import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

test('the runner selects files by a part of their path, with slashes of either kind', async () => {
  const runner = fileURLToPath(new URL('./run.js', import.meta.url));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // else it takes itself for one of its test files
  for (const part of ['parity/difference', 'model/registry', 'model\\registry']) {
    const { stdout } = await promisify(execFile)(process.execPath, [runner, part], { env }).catch((error) => error);
    assert.match(stdout, part.endsWith('registry') ? /\b[1-9]\d* passed, 0 failed/ : /\b0 passed, 0 failed/);
  }
});
