/**
 * The floor plan: a folder imports only from those below it, and no file imports one that imports it. Types count.
 * Compiled files are not enough, since types are gone from them: the sources are read, where they are present.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What each storey may import from besides itself. */
const BELOW: Record<string, readonly string[]> = {
  base: [],
  model: ['base'],
  onnx: ['base', 'model'],
  train: ['base', 'model', 'onnx'],
  export: ['base', 'model', 'onnx', 'train'],
  serve: ['base', 'onnx'],
  cli: ['base', 'model', 'onnx', 'train', 'export', 'serve'],
};

const files = Object.keys(BELOW).flatMap((storey) =>
  readdirSync(join(ROOT, storey), { recursive: true, encoding: 'utf8' })
    .map((file) => `${storey}/${file.replaceAll('\\', '/')}`)
    .filter((file) => /\.tsx?$/.test(file)),
);

/** The files that a file imports, by path from the root. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const specifiers = Array.from(
    source.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g),
    ([, specifier]) => specifier,
  );
  return specifiers.flatMap((specifier) => {
    const path = join(dirname(file), specifier);
    return [path.replace(/\.js$/, '.ts'), path.replace(/\.js$/, '.tsx')].filter((name) => existsSync(join(ROOT, name)));
  });
}

const graph = new Map(files.map((file) => [file, importsOf(file)]));

test('imports only look down the storeys', () => {
  const storeyOf = (file: string) => file.split('/', 1)[0];
  const up = [...graph].flatMap(([file, imports]) =>
    imports
      .filter((other) => ![storeyOf(file), ...BELOW[storeyOf(file)]].includes(storeyOf(other)))
      .map((other) => `${file} imports ${other}`),
  );
  assert.ok(files.length > 300);
  assert.deepEqual(up, []);
});

test('no file imports one that imports it, over however many others', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file)) return;
    for (const other of graph.get(file) ?? []) visit(other, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  assert.deepEqual(circles, []);
});

test('only makeFolder creates folders recursively', () => {
  const makes = files.filter((file) =>
    /\bmkdir(Sync)?\([^;]*\brecursive\b/.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  assert.deepEqual(makes, []);
});

test('TensorFlow.js and the messages of ONNX are loaded in one place each, which requires them', () => {
  const loads = /^import (?!type\b)(?:[^;]*? from )?'(?:@tensorflow\/tfjs-|onnx-proto)/m;
  assert.deepEqual(
    files.filter((file) => loads.test(readFileSync(join(ROOT, file), 'utf8'))),
    [],
  );
});
