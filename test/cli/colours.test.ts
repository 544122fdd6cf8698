/** Colours of what commands print: at a terminal, and never in files and pipes, unless the environment asks. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { heldOutPng } from '../../train/data/emoji/emoji.js';
import { writeTinyModel } from '../serve/tiny-model.js';

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

/** Runs several commands in one process, and prints a line after each. */
const RUN = `
const { runCommand } = await import(process.argv[1]);
for (const command of process.argv.slice(2)) {
  await runCommand(command.split(" "));
  console.log("$");
  console.error("$");
}`;
const PROGRAM = ['--input-type=module', '-e', RUN, new URL('../../cli/commands.js', import.meta.url).href];
const PLAIN = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, CI: undefined, TERM: 'xterm-256color' };
const COMMANDS = HEADED.map(([words]) => words.join(' '));
const FAILING = 'inspect nowhere.onnx';

const optionsWith = (env: NodeJS.ProcessEnv) => ({ cwd: folder, encoding: 'utf8', env: { ...PLAIN, ...env } }) as const;
const byCommand = (text: string) => text.split(/^\$\r?\n/m);

/** What the commands print in a pipe, each on its own. */
function inPipe(commands: string[], env: NodeJS.ProcessEnv = {}): { stdout: string[]; stderr: string[] } {
  const { stdout, stderr } = spawnSync(process.execPath, [...PROGRAM, ...commands], optionsWith(env));
  return { stdout: byCommand(stdout), stderr: byCommand(stderr) };
}

it('marks headings and bars at a terminal, and not against NO_COLOR', { skip: !hasScript() }, () => {
  const line = [process.execPath, ...PROGRAM, ...COMMANDS].map((word) => `'${word}'`).join(' ');
  // What goes to stderr is shown as well: each line twice.
  const atTerminal = (env: NodeJS.ProcessEnv = {}) =>
    byCommand(execFileSync('script', ['-qec', line, '/dev/null'], optionsWith(env))).filter((_, i) => i % 2 === 0);
  const marked = atTerminal();
  HEADED.forEach(([words, heading], i) => {
    assert.ok(marked[i].includes(`${BOLD}${heading}`), words.join(' '));
  });
  assert.ok(marked[2].includes(`${CYAN}█`));
  const plain = atTerminal({ NO_COLOR: '1' });
  HEADED.forEach(([words, heading], i) => {
    assert.ok(plain[i].includes(heading), words.join(' '));
    assert.ok(!plain[i].includes(ESC), words.join(' '));
  });
});

it('prints plain text in a pipe, but for FORCE_COLOR', () => {
  const [plain, forced] = [inPipe(COMMANDS), inPipe(COMMANDS, { FORCE_COLOR: '1' })];
  HEADED.forEach(([words, heading], i) => {
    assert.ok(plain.stdout[i].includes(heading), words.join(' '));
    assert.ok(!(plain.stdout[i] + plain.stderr[i]).includes(ESC), words.join(' '));
    assert.ok(forced.stdout[i].includes(`${BOLD}${heading}`), words.join(' '));
  });
  for (const FORCE_COLOR of ['0', '']) assert.ok(!inPipe([COMMANDS[0]], { FORCE_COLOR }).stdout[0].includes(ESC));
});

it('marks the name of the command that failed', () => {
  assert.match(inPipe([FAILING]).stderr[0], /^alexnet inspect: /);
  const red = `${ESC}[31malexnet inspect${ESC}[39m: `;
  assert.ok(inPipe([FAILING], { FORCE_COLOR: '1' }).stderr[0].startsWith(red));
});

/** util-linux's, which gives a program a terminal; the BSDs' takes other flags. */
function hasScript(): boolean {
  return spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
}
