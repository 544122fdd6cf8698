import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { pattern } from './images.js';
import { post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-mutations-'));
after(() => rmSync(folder, { recursive: true }));
const log: string[] = [];
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), log: (line) => log.push(line) });
const loaded = log.length;

for (const format of ['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const) {
  test(`answers 200, 400, 413 or 415 to every damaged ${format}, and never dies of one`, async () => {
    const whole = await pattern().toFormat(format).toBuffer();
    const place = fc.nat(whole.length - 1);
    const mutation = fc.record({
      changes: fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 20 }),
      removed: fc.tuple(place, fc.nat(100)),
      end: fc.oneof(fc.constant(whole.length), place),
    });
    await fc.assert(
      fc.asyncProperty(mutation, async ({ changes, removed: [from, count], end }) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        const damaged = Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + count, end)]);
        const { status } = await post(url, damaged);
        assert.ok([200, 400, 413, 415].includes(status), `${status}`);
      }),
      { numRuns: 200, seed: 2012 },
    );
    assert.deepEqual(log.slice(loaded), []);
  });
}
