/**
 * The subcommands of `alexnet`. Each one's module is loaded only when it is called: `alexnet serve` never loads
 * TensorFlow.js, and `--help` loads nothing.
 */
import { Command, CommanderError } from 'commander';
import { UsageError, UserError } from '../base/errors.js';
import { explainTooManyFiles } from '../base/few-open-files.js';
import { isOutOfMemory, withMemory } from '../base/out-of-memory.js';
import { startedByNohup } from '../base/process/nohup.js';
import { outliveReaders } from '../base/process/standard-streams.js';
import { toolVersion } from '../base/tool-version.js';

const COMMANDS: Record<string, { description: string; load: () => Promise<Command> }> = {
  summary: {
    description: 'show the layers of a network',
    load: async () => (await import('./summary.js')).summaryCommand(),
  },
  learn: {
    description: 'learn your own classes from few images, by weights that know others',
    load: async () => (await import('./learn.js')).learnCommand(),
  },
  train: { description: 'train a network on images', load: async () => (await import('./train.js')).trainCommand() },
  'find-lr': {
    description: 'suggest a learning rate for a network and its data',
    load: async () => (await import('./find-lr.js')).findRateCommand(),
  },
  prepare: {
    description: 'decode a data set once, for training from disk',
    load: async () => (await import('./prepare.js')).prepareCommand(),
  },
  evaluate: {
    description: 'measure the errors of a checkpoint or an exported file',
    load: async () => (await import('./evaluate.js')).evaluateCommand(),
  },
  report: {
    description: 'summarise a run as one HTML page',
    load: async () => (await import('./report.js')).reportCommand(),
  },
  reproduce: {
    description: "repeat the paper's experiments",
    load: async () => (await import('./reproduce.js')).reproduceCommand(),
  },
  export: {
    description: 'write a checkpoint, or any TensorFlow.js model, as .onnx',
    load: async () => (await import('./export.js')).exportCommand(),
  },
  inspect: {
    description: 'print what an .onnx file holds',
    load: async () => (await import('./inspect.js')).inspectCommand(),
  },
  import: {
    description: 'make a run from other weights: .onnx or .safetensors',
    load: async () => (await import('./import.js')).importCommand(),
  },
  serve: {
    description: 'classify images over HTTP',
    load: async () => (await import('./serve.js')).serveCommand(),
  },
  classify: {
    description: 'classify images',
    load: async () => (await import('./classify.js')).classifyCommand(),
  },
  page: {
    description: 'write a static site that classifies in the browser',
    load: async () => (await import('./page.js')).pageCommand(),
  },
  filters: {
    description: "draw the first layer's kernels",
    load: async () => (await import('./filters.js')).filtersCommand(),
  },
  occlude: {
    description: 'show which part of an image a class depends on',
    load: async () => (await import('./occlude.js')).occludeCommand(),
  },
  index: {
    description: 'store the features of a data set, to search it by image',
    load: async () => (await import('./index.js')).indexCommand(),
  },
  neighbours: {
    description: 'find the images most similar to one',
    load: async () => (await import('./neighbours.js')).neighboursCommand(),
  },
  demo: {
    description: 'the whole path on embedded images, in minutes',
    load: async () => (await import('./demo.js')).demoCommand(),
  },
};

async function main(words: string[]): Promise<void> {
  const program = new Command('alexnet')
    .description('AlexNet in TypeScript: train it with TensorFlow.js, export it to ONNX, serve it over HTTP.')
    .version(toolVersion())
    .helpCommand(false)
    .exitOverride();
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = words[0] === name ? await load() : new Command(name).description(description);
    program.addCommand(command.copyInheritedSettings(program));
  }
  if (words.length === 0) program.help({ error: true });
  await program.parseAsync(words, { from: 'user' });
}

/**
 * Prints an error for people and gives the exit code: 2 wrong usage, 1 everything else; a stack only for faults of
 * ours.
 */
function report(error: unknown, command: string): number {
  const name = Object.hasOwn(COMMANDS, command) ? `alexnet ${command}` : 'alexnet';
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  if (isOutOfMemory(error)) console.error(`${name}: ${withMemory(error).message}${memoryAdvice(command)}`);
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

/** Runs a command to its end; sets the exit code. */
export async function runCommand(words: string[]): Promise<void> {
  outliveReaders();
  if (startedByNohup()) process.on('SIGHUP', () => undefined); // every command continues
  try {
    await main(words);
  } catch (error) {
    process.exitCode = report(explainTooManyFiles(error), words[0]);
  }
}
