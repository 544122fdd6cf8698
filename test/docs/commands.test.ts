/** Commands and flags of the docs are those of the program, and quick commands print what the docs show. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { writeTinyModel } from '../serve/tiny-model.js';
import { PAGES, type Page, ROOT, readPage, spansOf } from './pages.js';

async function node(words: readonly string[], cwd?: string): Promise<string> {
  return (await promisify(execFile)(process.execPath, words, { cwd })).stdout;
}

const alexnet = (words: readonly string[], cwd?: string) => node([join(ROOT, 'dist/cli/main.js'), ...words], cwd);

/** The help of several commands, from one process. */
const HELP = `
const { runCommand } = await import(process.argv[1]);
for (const name of process.argv.slice(2)) await runCommand([name, '--help']);
`;

/** Flags of every command, by its name. */
async function readFlags(): Promise<Map<string, Set<string>>> {
  const names = (await alexnet(['--help'])).match(/(?<=^ {2})[a-z][a-z-]*(?= )/gm)!;
  const module = new URL('../../cli/commands.js', import.meta.url).href;
  const helps = await node(['--input-type=module', '-e', HELP, module, ...names]);
  return new Map(
    helps
      .split(/^Usage: alexnet /m)
      .slice(1)
      .map((help) => [help.split(' ', 1)[0], new Set(help.match(/(?<![\w-])--?[a-z][\w-]*/g))]),
  );
}

/** `alexnet CMD …` wherever it is written: lines of blocks, continued ones joined, and code spans. */
function commandsOf(page: Page): string[] {
  const lines = page.blocks
    .filter(({ language }) => ['sh', 'text'].includes(language))
    .flatMap(({ text }) => text.replace(/\\\n/g, ' ').split('\n'))
    .map((line) => line.replace(/\s#.*/, ''));
  return [...lines, ...spansOf(page)].flatMap((code) => code.match(/\balexnet [a-z][a-z-]*(?= |$)[^;|]*/)?.[0] ?? []);
}

/** Flags of programs other than `alexnet`, and of `npm run`. */
const OF_OTHERS = new Set(['--bind-to', '--mca', '--unix-socket', '--exit', '--slow', '--verbose']);

test('every flag that the docs give a command is in its help', async () => {
  const commands = await readFlags();
  const all = new Set([...commands.values()].flatMap((flags) => [...flags]));
  const unknown: string[] = [];
  let found = 0;
  for (const page of PAGES) {
    for (const code of commandsOf(page)) {
      const [, command, ...words] = code.split(/\s+/);
      const flags = commands.get(command);
      if (!flags) continue;
      const given = words.filter((word) => /^--?[a-z]/.test(word));
      found += given.length;
      unknown.push(
        ...given.filter((flag) => !flags.has(flag)).map((flag) => `${page.path}: alexnet ${command} ${flag}`),
      );
    }
    const alone = spansOf(page).flatMap((span) => span.match(/^--[a-z][\w-]*/)?.[0] ?? []);
    unknown.push(
      ...alone.filter((flag) => !all.has(flag) && !OF_OTHERS.has(flag)).map((flag) => `${page.path}: ${flag}`),
    );
  }
  assert.ok(found > 80, `${found} flags found`);
  assert.deepEqual([...new Set(unknown)], []);
});

/** Whether a block matches what was printed; a line `…` stands for any lines. */
function shows(block: string, printed: string): boolean {
  const escaped = (line: string) => line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const lines = block.trimEnd().split('\n');
  return new RegExp(`^${lines.map((line) => (line === '…' ? '[^]*' : escaped(line))).join('\n')}\n$`).test(printed);
}

test('alexnet summary prints what the docs show', async () => {
  const blocks = PAGES.flatMap(({ blocks }) => blocks).filter(({ text }) => text.startsWith('$ npx alexnet summary'));
  assert.ok(blocks.length > 0);
  for (const { text } of blocks) {
    const [command, ...lines] = text.split('\n');
    assert.ok(shows(lines.join('\n'), await alexnet(command.split(' ').slice(3))), command);
  }
});

test('alexnet inspect prints in the shape that the docs show', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-docs-'));
  try {
    writeTinyModel(join(folder, 'alexnet.onnx'));
    const printed = await alexnet(['inspect', 'alexnet.onnx'], folder);
    const block = readPage('docs/export.md').blocks.find(({ text }) => text.startsWith('$ npx alexnet inspect'))!;
    const [, first, ...lines] = block.text.trimEnd().split('\n');
    const shape = (line: string) => line.replace(/[\d.]+/g, '#').replace(/by .*/, 'by …');
    assert.equal(shape(printed.split('\n', 1)[0]), shape(first));
    for (const line of lines.filter((line) => line !== '' && line !== '…' && !/\d/.test(line)))
      assert.ok(printed.split('\n').includes(line), line);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
