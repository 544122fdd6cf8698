import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { kernelTable } from '../../onnx/backend/kernel-table.js';
import { EXPECTED } from './suite.js';

const page = readFileSync(new URL('../../../docs/backend.md', import.meta.url), 'utf8');

describe('the page on the backend', () => {
  it('quotes the figures of the suite', () => {
    assert.ok(page.includes(`${EXPECTED.passed} passed, ${EXPECTED.failed} failed`));
    assert.ok(page.includes(`${EXPECTED.passedWithoutDelegation} of them`));
    assert.ok(page.includes(`${EXPECTED.onWebgpu.passed} passed, ${EXPECTED.onWebgpu.failed} failed`));
  });

  it('holds the table of kernels as the registry has it', () => {
    const [, table] = /<!-- kernels -->\n([\s\S]*?)\n<!-- \/kernels -->/.exec(page) ?? [];
    assert.equal(table, kernelTable());
  });
});
