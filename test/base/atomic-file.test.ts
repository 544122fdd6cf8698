import assert from 'node:assert/strict';
import fs, { readdir, readFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeFileAtomically } from '../../base/atomic-file.js';
import { temporaryFolder } from '../train/data/tiny-images.js';

test('writes a file that is named without its folder under that name, and leaves nothing next to it', async (context) => {
  const before = process.cwd();
  context.after(() => process.chdir(before)); // a folder in use cannot be removed on Windows
  process.chdir(await temporaryFolder(context));
  await writeFileAtomically('report.html', 'first');
  await writeFileAtomically('report.html', 'second');
  assert.deepEqual(await readdir('.'), ['report.html']);
  assert.equal(await readFile('report.html', 'utf8'), 'second');
});

/** Makes this system one that refuses `times` renames with `code`. */
function refuseRenames(context: TestContext, platform: NodeJS.Platform, code: string, times: number): () => number {
  const { rename } = fs;
  const system = Object.getOwnPropertyDescriptor(process, 'platform')!;
  Object.defineProperty(process, 'platform', { ...system, value: platform });
  const mocked = context.mock.method(fs, 'rename', async (from: string, to: string) => {
    if (mocked.mock.callCount() < times) throw Object.assign(new Error(`${code}: refused, rename`), { code });
    await rename(from, to);
  });
  syncBuiltinESMExports();
  context.after(() => {
    Object.defineProperty(process, 'platform', system);
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return () => mocked.mock.callCount();
}

for (const code of ['EPERM', 'EBUSY', 'EACCES']) {
  test(`on Windows waits for a file that another program holds for a moment (${code})`, async (context) => {
    const folder = await temporaryFolder(context);
    const calls = refuseRenames(context, 'win32', code, 3);
    await writeFileAtomically(join(folder, 'config.json'), 'whole');
    assert.equal(await readFile(join(folder, 'config.json'), 'utf8'), 'whole');
    assert.deepEqual([calls(), await readdir(folder)], [4, ['config.json']]);
  });
}

test('elsewhere, where nobody holds files, a refused rename is an error at once', async (context) => {
  const folder = await temporaryFolder(context);
  const calls = refuseRenames(context, 'linux', 'EACCES', 3);
  await assert.rejects(
    writeFileAtomically(join(folder, 'config.json'), 'whole'),
    /config\.json\.alexnet-tmp: cannot be written/,
  );
  assert.deepEqual([calls(), await readdir(folder)], [1, []]);
});
