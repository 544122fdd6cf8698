import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

describe('memory of a long training', () => {
  it('stays flat: 500 steps of cifar10-18pct grow by less than 50 MB after step 50', (t) => {
    const script = fileURLToPath(new URL('./train-500.js', import.meta.url));
    const printed = execFileSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' });
    const { after50, after500 } = JSON.parse(printed) as { after50: number; after500: number };
    const grownMb = (after500 - after50) / 1e6;
    t.diagnostic(`${(after50 / 1e6).toFixed(0)} MB after step 50, ${grownMb.toFixed(1)} MB more after step 500`);
    assert.ok(grownMb < 50, `${grownMb} MB more`);
  });
});
