/** How large files, functions and lists of parameters may become, in the sources. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['base', 'cli', 'export', 'model', 'onnx', 'serve', 'test', 'train'];
const MOST = { lines: 400, linesOfFunction: 60, parameters: 5 };

/** Data in the form of a source file. */
const TABLES = new Set(['export/import/imagenet-classes.ts']);

const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => /\.tsx?$/.test(file) && !TABLES.has(file)),
).map((file) => ({
  file,
  source: ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.ES2022, true),
}));

interface Found {
  where: string;
  lines: number;
  parameters: number;
}

function functionsOf(source: ts.SourceFile): Found[] {
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const found: Found[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) {
      const [first, last] = [lineOf(node.getStart()), lineOf(node.end)];
      found.push({
        where: `${source.fileName}:${first}`,
        lines: last - first + 1,
        parameters: node.parameters.length,
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const functions = files.flatMap(({ source }) => functionsOf(source));

test('no file has more than 400 lines', () => {
  const long = files.filter(({ source }) => source.getLineStarts().length - 1 > MOST.lines).map(({ file }) => file);
  assert.ok(files.length > 600);
  assert.deepEqual(long, []);
});

test('no function has more than 60 lines, outside of tests', () => {
  const long = functions.filter(({ where, lines }) => lines > MOST.linesOfFunction && !where.startsWith('test/'));
  assert.deepEqual(long, []);
});

test('no function takes more than five parameters', () => {
  assert.deepEqual(
    functions.filter(({ parameters }) => parameters > MOST.parameters),
    [],
  );
});
