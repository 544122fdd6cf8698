/** What to say of a word without a flag in front of it, where the command expects none. */
import type { Command } from 'commander';

/** What a command calls such a word, and its flag; `.onnx` files have `--model` unless the command says otherwise. */
const EXPECTED: Record<string, { noun: string; flag: string; onnx?: string }> = {
  serve: { noun: 'file', flag: '--model' },
  page: { noun: 'file', flag: '--model' },
  filters: { noun: 'file', flag: '--model' },
  index: { noun: 'data', flag: '--data' },
  train: { noun: 'data', flag: '--data' },
  prepare: { noun: 'data', flag: '--data' },
  'find-lr': { noun: 'data', flag: '--data' },
  reproduce: { noun: 'data', flag: '--data' },
  summary: { noun: 'network', flag: '--model' },
  evaluate: { noun: 'run', flag: '--run', onnx: '--onnx' },
  export: { noun: 'run', flag: '--run' },
};

const COMPLAINTS = /^error: (too many arguments|required option '--(model|data) )/;

/**
 * A complaint of commander, or instead which flag takes the word.
 * @param command  with its words parsed
 */
export function withFlagOfWord(complaint: string, command: Command): string {
  const [, about] = COMPLAINTS.exec(complaint) ?? [];
  if (about === undefined) return complaint;
  const name = command.name();
  const { args, registeredArguments } = command;
  const expected = EXPECTED[name];
  const file = args.find((word) => word.endsWith('.onnx'));
  const onnx = expected?.onnx ?? '--model';
  if (file && command.options.some(({ flags }) => flags.startsWith(`${onnx} <file`)))
    return says(name, 'file', onnx, file);
  const word = registeredArguments.at(-1)?.variadic ? undefined : args[registeredArguments.length];
  return word !== undefined && expected ? says(name, expected.noun, expected.flag, word) : complaint;
}

const says = (command: string, noun: string, flag: string, word: string) =>
  `error: ${command} takes the ${noun} as ${flag} ${word}\n`;
