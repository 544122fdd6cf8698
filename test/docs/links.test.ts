/** The docs lead where they say: links, headings, and the files and names of the code. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { test } from 'node:test';
import { PAGES, type Page, ROOT, readPage, spansOf, tableRows } from './pages.js';

/** Anchors of the headings, as GitHub makes them. */
function anchorsOf({ prose }: Page): string[] {
  return Array.from(prose.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Why a link leads nowhere; undefined if it does not. */
function broken(page: Page, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [file, anchor] = link.split('#');
  const path = file === '' ? page.path : join(dirname(page.path), file);
  if (!existsSync(join(ROOT, path))) return `${page.path}: no file ${path}`;
  if (anchor === undefined) return undefined;
  return anchorsOf(readPage(path)).includes(anchor) ? undefined : `${page.path}: no heading #${anchor} in ${path}`;
}

test('every relative link and image leads to a file, and every anchor to a heading', () => {
  const links = PAGES.flatMap((page) =>
    Array.from(page.prose.matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => ({ page, link })),
  );
  assert.ok(links.length > 40);
  assert.deepEqual(
    links.map(({ page, link }) => broken(page, link)).filter((message) => message !== undefined),
    [],
  );
});

test('every file of this project that the docs name exists', () => {
  const folders = /^(base|cli|docs|export|model|onnx|serve|test|train)\/[\w./-]*(\.\w+|\/)$/;
  const missing = PAGES.flatMap((page) =>
    spansOf(page)
      .filter((span) => folders.test(span) && !existsSync(join(ROOT, span)))
      .map((span) => `${page.path}: ${span}`),
  );
  assert.deepEqual(missing, []);
});

test('the names that the walks through the code state are in their files', () => {
  const walks = tableRows(readPage('docs/architecture.md')).filter((cells) => cells.length === 3);
  const rows = walks.filter(([file]) => file.endsWith('.ts`'));
  assert.ok(rows.length > 30);
  for (const [file, names] of rows) {
    const source = readFileSync(join(ROOT, file.replaceAll('`', '')), 'utf8');
    for (const [, name] of names.matchAll(/`(\w+)`/g))
      assert.match(source, new RegExp(`\\b${name}\\b`), `${file}: ${name}`);
  }
});

test('the README has at most 200 lines', () => {
  assert.ok(readPage('README.md').lines.length <= 200);
});

test('cells of tables are under 100 characters', () => {
  const long = PAGES.flatMap((page) =>
    tableRows(page)
      .flat()
      .filter((cell) => cell.length >= 100)
      .map((cell) => `${page.path}: ${cell}`),
  );
  assert.deepEqual(long, []);
});
