/**
 * Runs the compiled test files with Node's own runner, each in a process of its own, and closes with `N passed, N failed`.
 * Files named *.slow.test.js run only with --slow. Other arguments select files by a part of their path.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));

const selected = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const slow = process.argv.includes('--slow');

const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js') && file.endsWith('.slow.test.js') === slow)
  .filter((file) => selected.length === 0 || selected.some((part) => file.includes(part)))
  .map((file) => join(here, file))
  .sort();

let passed = 0;
let failed = 0;
let skipped = 0;
// Suites and the per-file wrappers report as tests too: count the leaves only.
const isLeaf = (details: { type?: string }, name: string) => details.type !== 'suite' && !files.includes(name);

const stream = run({ files, concurrency: availableParallelism(), timeout: slow ? 3_600_000 : 240_000 });
stream.on('test:pass', ({ details, name, skip }) => {
  if (!isLeaf(details, name)) return;
  if (skip !== undefined && skip !== false) skipped += 1;
  else passed += 1;
});
stream.on('test:fail', ({ details, name }) => {
  if (details.type === 'suite') return;
  failed += 1;
  process.stderr.write(`FAILED ${name}\n`);
});
stream.on('end', () => {
  // The spec reporter still has lines to flush; the count is to stand last.
  setImmediate(() => {
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  });
});
stream.compose(new spec()).pipe(process.stdout);
