/**
 * Runs the compiled test files with Node's own runner, each in a process of its own, and closes with `N passed, N
 * failed`. Files named *.slow.test.js run only with --slow. Other arguments select files by a part of their path.
 * Prints what runs and how long it has taken, failures in full, and why tests were skipped; --verbose prints every
 * test.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { Progress } from './progress.js';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Started first, so that the others fill the time until the last of these ends. */
const LONG = [
  'serve/page-views',
  'parity/pytorch-golden',
  'serve/page-browser',
  'cli/command-line',
  'serve/lifecycle',
  'serve/repository',
  'serve/left-out-models',
  'train/distributed/training',
  'train/frozen/features',
  'train/report/report',
  'train/reproduce',
  'train/tensorflow-backend',
  'train/data/streaming',
  'docs/examples',
];

/** As the selection names them, on Windows too. */
const slashed = (path: string) => path.replaceAll('\\', '/');
const isLong = (file: string) => LONG.some((name) => slashed(file) === `${name}.test.js`);

// Rules are what most tests are about, not the cpu kernels that compute programs too small to be compiled.
process.env.ALEXNET_COMPILE ??= 'always';
// At a terminal, Node's runner would ask test files for colours, and so every command that they start.
process.env.FORCE_COLOR = '0';

const selected = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const slow = process.argv.includes('--slow');
const verbose = process.argv.includes('--verbose');

const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js') && file.endsWith('.slow.test.js') === slow)
  .filter((file) => selected.length === 0 || selected.some((part) => slashed(file).includes(slashed(part))))
  .sort()
  .sort((a, b) => Number(isLong(b)) - Number(isLong(a)))
  .map((file) => join(here, file));

const progress = new Progress(files.length);
let passed = 0;
let failed = 0;
const skipped = new Map<string, number>();
const failing = new Set<string>();
const stderr = new Map<string, string>();
// Suites and the per-file wrappers report as tests too: count the leaves only.
const isLeaf = (details: { type?: string }, name: string) => details.type !== 'suite' && !files.includes(name);

// One more than processors, because many tests wait for processes that they start; not in CI, where speed matters less
// than calm.
const concurrency = availableParallelism() + (process.env.CI ? 0 : 1);
const stream = run({ files, concurrency, timeout: slow ? 3_600_000 : 240_000 });
stream.on('test:dequeue', ({ name }) => {
  if (files.includes(name)) progress.start(relative(here, name));
});
stream.on('test:complete', ({ name }) => {
  if (files.includes(name)) progress.end(relative(here, name));
});
stream.on('test:pass', ({ details, name, skip }) => {
  if (!isLeaf(details, name)) return;
  if (skip === undefined || skip === false) passed += 1;
  else skipped.set(`${skip}`, (skipped.get(`${skip}`) ?? 0) + 1);
});
stream.on('test:fail', ({ details, file }) => {
  if (details.type === 'suite') return;
  failed += 1;
  if (file) failing.add(file);
});
stream.on('test:stderr', ({ file, message }) => stderr.set(file, (stderr.get(file) ?? '') + message));
stream.on('end', () => {
  progress.close();
  if (!verbose) for (const file of failing) process.stdout.write(stderr.get(file) ?? '');
  // The spec reporter still has lines to flush; the count is to stand last.
  setImmediate(() => {
    if (!verbose) for (const [reason, count] of skipped) console.log(`${count} skipped: ${reason}`);
    const total = [...skipped.values()].reduce((sum, count) => sum + count, 0);
    console.log(`${passed} passed, ${failed} failed${total > 0 ? `, ${total} skipped` : ''}`);
    process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  });
});

/** Node's own report of the failures alone: without the starts of tests it lists them in full at the end. */
async function* failuresOf(events: AsyncIterable<{ type: string }>) {
  for await (const event of events) if (event.type === 'test:fail') yield event;
}
const events = verbose ? stream : Readable.from(failuresOf(stream));
events.compose(new spec()).pipe(process.stdout);
