import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { writeFileAtomically } from '../../train/atomic-file.js';
import { temporaryFolder } from './tiny-pictures.js';

test('writes a file that is named without its folder under that name, and leaves nothing beside it', async (context) => {
  const before = process.cwd();
  context.after(() => process.chdir(before)); // a folder in use cannot be removed on Windows
  process.chdir(await temporaryFolder(context));
  await writeFileAtomically('report.html', 'first');
  await writeFileAtomically('report.html', 'second');
  assert.deepEqual(await readdir('.'), ['report.html']);
  assert.equal(await readFile('report.html', 'utf8'), 'second');
});
