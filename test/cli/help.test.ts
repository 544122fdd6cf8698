/** The help of every command: what a person reads before the first call. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Command, Option } from 'commander';
import { COMMANDS } from '../../cli/command-table.js';
import { loadCommand } from '../../cli/help.js';

/** Quantities that a number can be of, or where it may lie. */
const UNIT =
  /\b(images?|inputs|pixels|bytes|bits|seconds|ms|minutes|in s, m or h|epochs|passes|steps|classes|views|crops|processes|threads|requests|predictions|ONNX operator set|standard deviations|two numbers|R,G,B)\b|\b\d+ to (\d|below)|\bat (least|most)\b|\babove\b|\bor more\b|from 0|whole number|0: none|share such as/;

/** More flags than these are hard to overlook in one list. */
const MOST_UNGROUPED = 8;

/** Whether the flag takes nothing but numbers, so far as they are checked when the line is parsed. */
function takesNumber({ parseArg, required, optional }: Option): boolean {
  if (!parseArg || !(required || optional)) return false;
  return ['8', '0.5', '1,2', '5%', '90s', '1,2,3'].some((text) => {
    try {
      const parsed = [parseArg(text, {} as never)].flat();
      return parsed.every((value) => typeof value === 'number');
    } catch {
      return false;
    }
  });
}

async function helpOf(name: string): Promise<{ command: Command; help: string }> {
  const command = await loadCommand(name);
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) });
  command.outputHelp();
  return { command, help };
}

for (const name of Object.keys(COMMANDS)) {
  describe(`alexnet ${name} --help`, () => {
    it('ends in an example that the command takes', async () => {
      const { command, help } = await helpOf(name);
      const [, example] = /\n\nExample(?:, after "alexnet demo")?:\n {2}npx (.*)\n$/s.exec(help) ?? assert.fail(help);
      const [program, first, ...words] = example.replace(' \\\n', '').split(/ +/);
      assert.deepEqual([program, first], ['alexnet', name]);
      let called = false;
      command.action(() => {
        called = true;
      });
      await command.parseAsync(words, { from: 'user' });
      assert.ok(called);
    });

    it('names the unit or the range of every number', async () => {
      const { command } = await helpOf(name);
      const missing = command.options
        .filter((option) => takesNumber(option) && !UNIT.test(`${option.flags} ${option.description}`))
        .map(({ flags, description }) => `${flags}: ${description}`);
      assert.deepEqual(missing, []);
    });

    it('keeps to 80 columns, says nothing of what is off, and puts many flags into groups', async () => {
      const { command, help } = await helpOf(name);
      const lines = help.split('\n');
      assert.deepEqual(
        lines.filter((line) => line.length > 80),
        [],
      );
      assert.doesNotMatch(help, /\(default: (false|""|\[\]|\{\})\)/);
      if (command.options.length > MOST_UNGROUPED) assert.doesNotMatch(help, /^Options:$/m);
    });
  });
}

it('points from wrong usage to the help', async () => {
  const command = await loadCommand('learn');
  let said = '';
  command.configureOutput({ writeErr: (text) => (said += text) });
  await assert.rejects(command.parseAsync([], { from: 'user' }));
  assert.match(said, /missing required argument 'dir'\n"alexnet learn --help" lists its flags and gives an example\n$/);
});

it('colours headings if colours are shown, and never in a pipe or against NO_COLOR', async () => {
  const command = await loadCommand('summary');
  for (const hasColors of [true, false]) {
    let help = '';
    command.configureOutput({ getOutHasColors: () => hasColors, writeOut: (text) => (help += text) });
    command.outputHelp();
    assert.equal(help.includes('\u001b[1mOptions:'), hasColors);
    assert.equal(help.includes('\u001b'), hasColors);
  }
});
