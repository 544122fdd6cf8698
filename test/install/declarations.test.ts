/**
 * The package's declarations may name only modules that a user gets with it: with strict library checks anything else
 * fails to compile.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const { exports, dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, string>;
  dependencies: Record<string, string>;
};

/** Packages that the declarations of an entry import, its own files followed. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const files = [resolve(ROOT, entry.replace(/\.js$/, '.d.ts'))];
  for (const file of files) {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?['"]([^'"]+)['"]/g)) {
      if (name.startsWith('.')) {
        const next = join(dirname(file), name.replace(/\.js$/, '.d.ts'));
        if (!files.includes(next)) files.push(next);
      } else {
        packages.add(name.startsWith('@') ? name.split('/', 2).join('/') : name.split('/')[0]);
      }
    }
  }
  return packages;
}

const hasTypes = (name: string): boolean => {
  const { types, typings, exports } = JSON.parse(
    readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
  );
  return types !== undefined || typings !== undefined || JSON.stringify(exports ?? '').includes('.d.');
};

for (const [entry, file] of Object.entries(exports)) {
  test(`the declarations of alexnet${entry.slice(1)} need no package beyond the dependencies`, () => {
    const missing = [...packagesOf(file)]
      .filter((name) => name !== 'alexnet' && !name.startsWith('node:') && !builtinModules.includes(name))
      .map((name) => (dependencies[name] && hasTypes(name) ? name : `@types/${name}`))
      .filter((name) => dependencies[name] === undefined);
    assert.deepEqual(missing, []);
  });
}

test('a user installs no package that reports installations to its makers', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  assert.equal(packages['node_modules/@scarf/scarf']?.dev, true);
});

test('the declarations of alexnet/serve do without those of onnx-proto, which name a type that nothing declares', () => {
  assert.ok(!packagesOf(exports['./serve']).has('onnx-proto'));
});

test('the declarations of alexnet itself do without those of tfjs-layers, which have type errors under strict', () => {
  assert.ok(!packagesOf(exports['.']).has('@tensorflow/tfjs-layers'));
});
