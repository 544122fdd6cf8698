/** The command `alexnet train`: flags in, progress on stderr, results on stdout. */

import { Command, Option } from 'commander';
import { UsageError } from '../base/errors.js';
import { counted, errorPercents } from '../base/format.js';
import { listenForInterrupt } from '../base/process/interrupt.js';
import { exitCodeOf } from '../base/process/stop-signals.js';
import { showProgress, silentProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import { ALONE, type Communicator } from '../train/distributed/communicator.js';
import { networkSpeed } from '../train/distributed/cost-model.js';
import type { GradientType } from '../train/distributed/gradient-sum.js';
import { describeJob, ENGINES, endJob, joinLaunched, withRank } from '../train/distributed/launched.js';
import { dryRun } from '../train/measure/dry-run.js';
import { DEFAULTS, SCHEDULES, type Settings } from '../train/settings/config.js';
import { lossOfGuessing } from '../train/start/few-images.js';
import { startTraining, type Trained, type TrainRequest } from '../train/start/start.js';
import { describeDryRun, dryRunJson } from './describe-dry-run.js';
import { nonNegativeNumber, positiveInteger, positiveNumber, risingIntegers } from './flag-types.js';
import { networkOptions, newRunRequest, recipeDefault, updateOptions } from './training-flags.js';

const NETWORK = '10Gb';

type TrainFlags = Omit<TrainRequest, 'out' | 'settings'> &
  Partial<Omit<Settings, 'classWeights'>> & {
    out?: string;
    distributed?: (typeof ENGINES)[number];
    compressGradients: boolean;
    ranks?: number;
    network?: string;
    dryRun: boolean;
    json: boolean;
  };

/** Trains a network; `--resume` continues one that was interrupted or killed. */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('Train a network on images. Ctrl-C saves first; --resume continues from there, bit for bit.')
    .optionsGroup('Run:')
    .option(
      '--out <run>',
      'folder of the run: config, metrics (.jsonl, .csv, events/ for TensorBoard), checkpoints last/ and best/',
    )
    .option('--resume', 'continue the run in --out; other flags may be left out', false)
    .option(
      '--force',
      'replace the run in --out; with --resume: continue under the settings given, even if they differ',
      false,
    )
    .option(
      '--dry-run',
      'write nothing: measure a few steps and print images/s, hours, memory and disk that the run would take',
      false,
    )
    .option('--checkpoint-minutes <m>', 'minutes between checkpoints within an epoch', positiveNumber, 5);
  return updateOptions(scheduleOptions(networkOptions(command)))
    .optionsGroup('Several machines:')
    .addOption(
      new Option(
        '--distributed <engine>',
        'train as one of the processes that a launcher started, e.g. mpirun -np 2 alexnet train …: each computes its part of every batch (default: alone)',
      ).choices(ENGINES),
    )
    .option(
      '--ranks <n>',
      'with --dry-run: processes that the run is for, each on its own machine (default: 1)',
      positiveInteger,
    )
    .option(
      '--network <speed>',
      `with --dry-run --ranks: bits a second of a machine's link, e.g. 25Gb, 800Mb (default: ${NETWORK})`,
    )
    .option('--compress-gradients', 'send gradients as float16 between processes: half the bytes', false)
    .optionsGroup('Output:')
    .option('--verbose', 'print every setting of the run', false)
    .option('--json', 'print the result as one JSON object', false)
    .action((flags: TrainFlags) => (flags.dryRun ? runDry(flags) : runTrain(flags)));
}

/** How long, and how the learning rate falls. */
function scheduleOptions(command: Command): Command {
  return command
    .optionsGroup('Learning:')
    .option('--epochs <n>', `passes over the training images ${recipeDefault('epochs')}`, positiveInteger)
    .option('--lr, --learning-rate <rate>', `learning rate, above 0 ${recipeDefault('learningRate')}`, positiveNumber)
    .addOption(new Option('--schedule <name>', `how the rate falls ${recipeDefault('schedule')}`).choices(SCHEDULES))
    .option('--milestones <epochs>', 'step: epochs after which the rate is divided by 10, e.g. 30,60', risingIntegers)
    .option(
      '--patience <epochs>',
      `plateau: epochs to wait for a better error (default: ${DEFAULTS.patience})`,
      positiveInteger,
    )
    .option(
      '--early-stop <epochs>',
      'end when the validation error has not improved for N epochs, under every schedule (default: never)',
      positiveInteger,
    )
    .option('--warmup-epochs <n>', 'epochs over which the rate climbs from 0 (default: 0)', nonNegativeNumber);
}

async function runTrain(flags: TrainFlags): Promise<void> {
  // Checked here and not by commander, which would complain of this before a misspelt flag.
  if (flags.out === undefined) throw new UsageError(missingOut(flags));
  if (flags.ranks ?? flags.network) throw new UsageError('--ranks and --network belong to --dry-run');
  if (flags.compressGradients && !flags.distributed) throw new UsageError('--compress-gradients needs --distributed');
  const group = flags.distributed ? joinLaunched() : ALONE;
  keepMemory(); // koffi takes the stack that MPI needs only before its first library
  try {
    await trainInGroup(flags as TrainFlags & { out: string }, group);
    group.finalize();
  } catch (error) {
    endJob(group, error);
    throw withRank(group, error);
  }
}

function missingOut({ resume, data, model, from }: TrainFlags): string {
  const isComplete = data !== undefined && (model ?? from) !== undefined;
  if (resume || isComplete) return '--out RUN is missing: the folder of the run';
  return 'a new run needs --data, --model and --out (or --resume --out RUN to continue one)';
}

/** As one of the processes of a job; the first alone talks to people. */
async function trainInGroup(flags: TrainFlags & { out: string }, group: Communicator): Promise<void> {
  const talks = group.rank === 0;
  const progress = talks ? showProgress() : silentProgress;
  if (flags.distributed) progress.note(await describeJob(group));
  const onFirst = (signal: string) => progress.note(`${signal}: saving after this step; a second signal stops at once`);
  // An exit would wait for the thread that is inside MPI.
  const kill = () => process.kill(process.pid, 'SIGKILL');
  const interrupt = listenForInterrupt(onFirst, group.size > 1 ? kill : undefined);
  try {
    const { out, backend, provider, resume, force, checkpointMinutes, verbose } = flags;
    const request = { ...newRunRequest(flags), out, backend, provider, resume, force, checkpointMinutes, verbose };
    const trained = await startTraining(request, progress, interrupt, { group, gradientType: gradientTypeOf(flags) });
    if (trained.interruptedBy) {
      process.exitCode = exitCodeOf(trained.interruptedBy);
      progress.note(`saved step ${trained.state.step}; continue with: alexnet train --resume --out ${out}`);
    }
    if (talks) console.log(flags.json ? JSON.stringify(trainJson(trained)) : headed(describeTrained(trained)));
  } finally {
    progress.stop();
    interrupt.close();
  }
}

const gradientTypeOf = ({ compressGradients }: TrainFlags): GradientType => (compressGradients ? 'float16' : 'float32');

async function runDry(flags: TrainFlags): Promise<void> {
  if (flags.resume) throw new UsageError('--dry-run measures a new run; leave --resume out');
  if (flags.distributed)
    throw new UsageError(
      'with --ranks, --dry-run estimates the rest from one process; leave --distributed and mpirun out',
    );
  keepMemory();
  const progress = showProgress();
  try {
    const { backend, provider, ranks = 1 } = flags;
    const network = networkSpeed(flags.network ?? NETWORK);
    const gradientType = gradientTypeOf(flags);
    const measured = await dryRun(
      { ...newRunRequest(flags), backend, provider, ranks, network, gradientType },
      progress,
    );
    progress.stop();
    console.log(flags.json ? JSON.stringify(dryRunJson(measured)) : headed(describeDryRun(measured)));
  } finally {
    progress.stop();
  }
}

function trainJson({ run, state, imagesPerSecond, backend, delegated }: Trained): object {
  const { bestValidation: best } = state;
  return {
    run: run.path,
    epochs: state.epoch,
    steps: state.step,
    images_per_second: imagesPerSecond,
    train_loss: state.trainLoss,
    val: best && { top1_error: best.top1Error, top5_error: best.top5Error, epoch: best.epoch },
    backend,
    delegated_kernels: Object.values(delegated).reduce((sum, count) => sum + count, 0),
  };
}

function describeTrained({ run, state, imagesPerSecond, delegated }: Trained): string {
  const { bestValidation: best } = state;
  const lines = [
    `${run.path}: ${counted(state.epoch, 'epoch')}, ${counted(state.step, 'step')}${imagesPerSecond > 0 ? `, ${imagesPerSecond.toFixed(1)} images/s` : ''}`,
  ];
  if (best)
    lines.push(
      `best validation error, epoch ${best.epoch}: top-1 ${errorPercents(best.top1Error, best.top5Error, run.labels.length)}`,
    );
  if (state.trainLoss !== null && state.trainLoss >= lossOfGuessing(run.labels.length))
    lines.push('nothing was learnt: the training loss ended no better than that of guessing');
  const kernels = Object.entries(delegated).map(([kernel, count]) => `${kernel} ${count}`);
  if (kernels.length > 0) lines.push(`kernels without a rule, computed by the slow cpu backend: ${kernels.join(', ')}`);
  return lines.join('\n');
}
