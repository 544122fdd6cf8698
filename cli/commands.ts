/** Runs a subcommand of `alexnet` and tells people what went wrong. */
import { Command, CommanderError } from 'commander';
import { OptionError, UsageError, UserError } from '../base/errors.js';
import { explainTooManyFiles } from '../base/few-open-files.js';
import { isOutOfMemory, withMemory } from '../base/out-of-memory.js';
import { startedByNohup } from '../base/process/nohup.js';
import { outliveReaders } from '../base/process/standard-streams.js';
import { stylesOf } from '../base/terminal.js';
import { toolVersion } from '../base/tool-version.js';
import { COMMAND_GROUPS, COMMANDS } from './command-table.js';
import { configureHelp, loadCommand } from './help.js';

async function main(words: string[]): Promise<void> {
  const program = configureHelp(new Command('alexnet'))
    .description('AlexNet in TypeScript: train it with TensorFlow.js, export it to ONNX, serve it over HTTP.')
    .version(toolVersion())
    .helpCommand(false)
    .showHelpAfterError('"alexnet --help" lists the commands')
    .addHelpText('after', '\nalexnet COMMAND --help lists the flags of a command and gives an example.')
    .exitOverride();
  for (const [heading, commands] of Object.entries(COMMAND_GROUPS)) {
    program.commandsGroup(heading);
    for (const [name, entry] of Object.entries(commands)) {
      program.addCommand(
        words[0] === name ? await loadCommand(name) : new Command(name).description(entry.description),
      );
    }
  }
  if (words.length === 0) program.help({ error: true });
  await program.parseAsync(words, { from: 'user' });
}

/**
 * Prints an error for people and gives the exit code: 2 wrong usage, 1 everything else; a stack only for faults of
 * ours.
 */
function report(error: unknown, command: string): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  const name = stylesOf(process.stderr).red(Object.hasOwn(COMMANDS, command) ? `alexnet ${command}` : 'alexnet');
  if (isOutOfMemory(error)) console.error(`${name}: ${withMemory(error).message}${memoryAdvice(command)}`);
  else if (error instanceof OptionError) console.error(`${name}: ${error.forCommand}`);
  else if (error instanceof UserError) console.error(`${name}: ${error.message}`);
  else if (isSystemError(error)) console.error(`${name}: ${error.message}`);
  else
    console.error(
      `${name}: this is a bug in alexnet, please report it:\n${error instanceof Error ? error.stack : error}`,
    );
  return error instanceof UsageError ? 2 : 1;
}

/** What to do if memory ran out. */
function memoryAdvice(command: string): string {
  if (['train', 'find-lr'].includes(command))
    return '. Compute fewer images at once: --micro-batch 16, or less, gives the same updates; "alexnet train --dry-run" measures what a run takes';
  if (['evaluate', 'report'].includes(command))
    return '. Compute fewer images at once: evaluate has --batch 16, or less';
  return '. Free some memory, or raise the limit (ulimit -v, the container) and repeat the command';
}

/** Of the operating system: disk full, no permission, port in use. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** `help learn` as `learn --help`. */
function wordsOfHelp(command?: string): string[] {
  if (command === undefined) return ['--help'];
  return Object.hasOwn(COMMANDS, command) ? [command, '--help'] : [command];
}

/** Runs a command to its end; sets the exit code. */
export async function runCommand(given: string[]): Promise<void> {
  const words = given[0] === 'help' ? wordsOfHelp(given[1]) : given;
  outliveReaders();
  if (startedByNohup()) process.on('SIGHUP', () => undefined); // every command continues
  try {
    await main(words);
  } catch (error) {
    process.exitCode = report(explainTooManyFiles(error), words[0]);
  }
}
