/** Colours of what commands print: at a terminal, and never in files and pipes, unless the environment asks. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { heldOutPng } from '../../train/data/emoji/emoji.js';
import { writeTinyModel } from '../serve/tiny-model.js';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const ESC = '\u001b';
const BOLD = `${ESC}[1m`;
const CYAN = `${ESC}[36m`;

let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'alexnet-colours-'));
  writeTinyModel(join(folder, 'tiny.onnx'));
  writeFileSync(join(folder, 'guitar.png'), await heldOutPng('guitar'));
});
after(() => rmSync(folder, { recursive: true }));

/** Commands with a heading, and what is in it. */
const HEADED: [string[], string][] = [
  [['summary', '--model', 'cifar10-quick'], 'cifar10-quick, 10 classes'],
  [['inspect', 'tiny.onnx'], 'operators'],
  [['classify', '--model', 'tiny.onnx', 'guitar.png'], 'guitar.png'],
  [['summary', '--help'], 'Options:'],
];

const PLAIN = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, CI: undefined, TERM: 'xterm-256color' };
const inPipe = (words: string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [CLI, ...words], { cwd: folder, encoding: 'utf8', env: { ...PLAIN, ...env } });

it('marks headings and bars at a terminal, and not against NO_COLOR', { skip: !hasScript() }, () => {
  const atTerminal = (words: string[], env: NodeJS.ProcessEnv = {}) =>
    execFileSync('script', ['-qec', [process.execPath, CLI, ...words].join(' '), '/dev/null'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...PLAIN, ...env },
    });
  for (const [words, heading] of HEADED) assert.ok(atTerminal(words).includes(`${BOLD}${heading}`), words.join(' '));
  assert.ok(atTerminal(HEADED[2][0]).includes(`${CYAN}█`));
  for (const [words] of HEADED) assert.ok(!atTerminal(words, { NO_COLOR: '1' }).includes(ESC), words.join(' '));
});

it('prints plain text in a pipe, but for FORCE_COLOR', () => {
  for (const [words, heading] of HEADED) {
    const { stdout, stderr } = inPipe(words);
    assert.ok(!(stdout + stderr).includes(ESC), words.join(' '));
    assert.ok(inPipe(words, { FORCE_COLOR: '1' }).stdout.includes(`${BOLD}${heading}`), words.join(' '));
  }
  for (const FORCE_COLOR of ['0', '']) assert.ok(!inPipe(HEADED[0][0], { FORCE_COLOR }).stdout.includes(ESC));
});

it('marks the name of the command that failed', () => {
  assert.match(inPipe(['inspect', 'nowhere.onnx']).stderr, /^alexnet inspect: /);
  const red = `${ESC}[31malexnet inspect${ESC}[39m: `;
  assert.ok(inPipe(['inspect', 'nowhere.onnx'], { FORCE_COLOR: '1' }).stderr.startsWith(red));
});

/** util-linux's, which gives a program a terminal; the BSDs' takes other flags. */
function hasScript(): boolean {
  return spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
}
