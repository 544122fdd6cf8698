/** The TypeScript examples of the docs compile and run against the package's own entries, as a user's would. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import sharp from 'sharp';
import ts from 'typescript';
import { writeTinyModel } from '../serve/tiny-model.js';
import { PAGES, ROOT } from './pages.js';

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  strict: true,
  skipLibCheck: true,
  rootDir: ROOT,
};

// Inside the package, whose name then leads to itself; with the files that the examples read.
const folder = mkdtempSync(join(ROOT, 'dist/test/docs/examples-'));
after(() => rmSync(folder, { recursive: true }));

const examples = PAGES.flatMap(({ path, blocks }) =>
  blocks.filter(({ language }) => language === 'ts').map(({ text }, i) => ({ path, text, name: `example-${i}` })),
).map((example) => ({ ...example, file: join(folder, `${example.path.replace(/\W/g, '-')}-${example.name}.mts`) }));

for (const { file, text } of examples) writeFileSync(file, text.replace('port: 8080', 'port: 0'));

test('the TypeScript examples of the docs have no type errors', () => {
  assert.ok(examples.length >= 4);
  const program = ts.createProgram(
    examples.map(({ file }) => file),
    { ...OPTIONS, outDir: ROOT },
  );
  const problems = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
  assert.equal(ts.formatDiagnostics(problems, ts.createCompilerHost(OPTIONS)), '');
});

for (const { path, file } of examples) {
  test(`the TypeScript example of ${path} runs`, async () => {
    writeTinyModel(join(folder, 'mine.onnx'));
    const create = { width: 20, height: 20, channels: 3, background: 'red' } as const;
    await sharp({ create }).toFile(join(folder, 'cat.jpg'));
    await promisify(execFile)(process.execPath, [file.replace(/mts$/, 'mjs')], { cwd: folder });
  });
}
