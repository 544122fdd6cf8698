/** The commands `alexnet train` and `alexnet evaluate`: flags in, progress on stderr, results on stdout. */
import { Command, Option } from 'commander';
import { UsageError } from '../model/errors.js';
import { NETWORKS } from '../model/registry.js';
import { BACKENDS, type BackendName } from './backend.js';
import { DEFAULTS, SCHEDULES, type Settings } from './config.js';
import { DATA_HELP } from './data/open-dataset.js';
import { type EvaluateRequest, type EvaluationReport, evaluateRun } from './evaluate-run.js';
import { exitCodeOf, listenForInterrupt } from './interrupt.js';
import { useLargePages } from './large-pages.js';
import {
  fractionBelowOne,
  nonNegativeNumber,
  positiveInteger,
  positiveNumber,
  risingIntegers,
  wholeNumber,
} from './numbers.js';
import { showProgress } from './progress.js';
import { startTraining, type Trained } from './start.js';

const recipe = (value: unknown) => `(default: ${value}, or the network's recipe)`;
const STREAM_HELP =
  'decode pictures anew at every use, as is done by itself where they would fill more than half of the free memory';
const backendOption = () => new Option('--backend <name>', 'what computes').choices(BACKENDS).default('auto');

type TrainFlags = Partial<Omit<Settings, 'classWeights'>> & {
  data?: string;
  model?: string;
  out?: string;
  from?: string;
  classes?: number;
  classWeights?: string;
  backend: BackendName;
  resume: boolean;
  force: boolean;
  checkpointMinutes: number;
  stream: boolean;
  json: boolean;
};

/** Trains a network; a run that was interrupted or killed goes on with `--resume`. */
export function trainCommand(): Command {
  return new Command('train')
    .description('Train a network on pictures. Ctrl-C saves first; --resume goes on from there, bit for bit.')
    .option('--data <data>', DATA_HELP)
    .option('--model <name>', `network: ${Object.keys(NETWORKS).join(', ')} (default: that of --from)`)
    .option('--out <run>', 'folder of the run: config, metrics, checkpoints last/ and best/')
    .option(
      '--from <run>',
      'fine-tune: start with weights (best/, else last/) and mean of another run, trained or imported; the last layer is drawn anew unless the labels are equal',
    )
    .option('--classes <n>', "stop unless the data has so many classes (default: the data's number)", positiveInteger)
    .option(
      '--freeze <layers>',
      'layers whose weights stay as they are, e.g. conv1..conv5 or conv1,fc6 (default: none)',
      words,
    )
    .option('--epochs <n>', `passes over the training pictures ${recipe(DEFAULTS.epochs)}`, positiveInteger)
    .option('--batch <n>', `pictures an update ${recipe(DEFAULTS.batch)}`, positiveInteger)
    .option('--micro-batch <n>', 'pictures computed at once, to bound memory (default: the batch)', positiveInteger)
    .option('--lr, --learning-rate <rate>', `learning rate ${recipe(DEFAULTS.learningRate)}`, positiveNumber)
    .option('--momentum <m>', `share of the velocity kept ${recipe(DEFAULTS.momentum)}`, fractionBelowOne)
    .option('--weight-decay <d>', `decay of kernels ${recipe(DEFAULTS.weightDecay)}`, nonNegativeNumber)
    .option('--bias-learning-rate-factor <f>', `biases learn at this times --lr ${recipe(1)}`, nonNegativeNumber)
    .option('--clip-norm <norm>', 'scale gradients down to this norm (default: never)', positiveNumber)
    .addOption(new Option('--schedule <name>', `how the rate falls ${recipe(DEFAULTS.schedule)}`).choices(SCHEDULES))
    .option('--milestones <epochs>', 'step: epochs after which the rate is divided by 10, e.g. 30,60', risingIntegers)
    .option(
      '--patience <epochs>',
      `plateau: epochs to wait for a better error (default: ${DEFAULTS.patience})`,
      positiveInteger,
    )
    .option('--warmup-epochs <n>', 'epochs over which the rate climbs from 0 (default: 0)', nonNegativeNumber)
    .addOption(
      new Option('--lrn <convention>', 'α of response normalisation as printed or as in the code').choices([
        'printed',
        'code',
      ]),
    )
    .option('--mirror', "mirror half of the pictures (default: the network's recipe)")
    .option('--no-mirror', 'never mirror')
    .option('--random-crop', "crop at random places (default: the network's recipe)")
    .option('--no-random-crop', 'crop the centre')
    .option(
      '--colour-noise <deviation>',
      `shift colours along their principal components, 0: never ${recipe(DEFAULTS.colourNoise)}`,
      nonNegativeNumber,
    )
    .option(
      '--class-weights <weights>',
      'weigh the loss by class: balanced, so that rare classes count as much as frequent ones, or a JSON file of weights by label (default: none)',
    )
    .option('--seed <n>', `names all random numbers (default: ${DEFAULTS.seed})`, wholeNumber)
    .addOption(backendOption())
    .option('--resume', 'go on with the run in --out; other flags may be left out', false)
    .option('--force', 'replace the run in --out', false)
    .option('--stream', STREAM_HELP, false)
    .option('--checkpoint-minutes <m>', 'minutes between checkpoints within an epoch', positiveNumber, 5)
    .option('--json', 'print the result as one JSON object', false)
    .action(runTrain);
}

async function runTrain(flags: TrainFlags): Promise<void> {
  // Checked here and not by commander, which would complain of this before a misspelt flag.
  if (flags.out === undefined) throw new UsageError('--out RUN is missing: the folder of the run');
  const advice = useLargePages();
  const progress = showProgress();
  if (advice) progress.note(advice);
  const interrupt = listenForInterrupt((signal) =>
    progress.note(`${signal}: saving after this step; once more ends at once`),
  );
  try {
    const { data, model, from, classes, classWeights, backend, resume, force, checkpointMinutes, stream, ...settings } =
      flags;
    const { out } = flags;
    const rest = { backend, resume, force, checkpointMinutes, stream, settings: onlySettings(settings) };
    const request = { data, model, out, from, classes, classWeights, ...rest };
    const trained = await startTraining(request, progress, interrupt);
    if (trained.interruptedBy) {
      process.exitCode = exitCodeOf(trained.interruptedBy);
      progress.note(`saved step ${trained.state.step}; go on with: alexnet train --resume --out ${out}`);
    }
    console.log(flags.json ? JSON.stringify(trainJson(trained)) : describeTrained(trained));
  } finally {
    progress.stop();
    interrupt.close();
  }
}

/** Parts between commas. */
function words(text: string): string[] {
  return text.split(',').map((word) => word.trim());
}

function onlySettings(flags: object): Partial<Settings> {
  return Object.fromEntries(Object.entries(flags).filter(([key, value]) => key in DEFAULTS && value !== undefined));
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
  const lines = [`${run.path}: ${state.epoch} epochs, ${state.step} steps, ${imagesPerSecond.toFixed(1)} images/s`];
  if (best)
    lines.push(
      `best validation error, epoch ${best.epoch}: top-1 ${percent(best.top1Error)}, top-5 ${percent(best.top5Error)}`,
    );
  const kernels = Object.entries(delegated).map(([kernel, count]) => `${kernel} ${count}`);
  if (kernels.length > 0) lines.push(`kernels without a rule, computed by the slow cpu backend: ${kernels.join(', ')}`);
  return lines.join('\n');
}

/** Measures the errors of a checkpoint or an exported file. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('Measure top-1 and top-5 errors of a checkpoint or an exported file.')
    .option('--run <run>', 'folder that "alexnet train" made')
    .addOption(new Option('--checkpoint <which>', 'checkpoint of the run').choices(['best', 'last']).default('best'))
    .option('--onnx <file>', 'file that "alexnet export" made, with the image head')
    .option('--data <data>', `${DATA_HELP} (default: that of the run)`)
    .option('--split <name>', 'train, val, test or another split of the data set', 'test')
    .addOption(
      new Option('--crops <n>', 'crops averaged a picture (default: 1; of a file those inside it)').choices([
        '1',
        '10',
      ]),
    )
    .option('--batch <n>', 'pictures at once', positiveInteger)
    .addOption(backendOption())
    .option('--stream', STREAM_HELP, false)
    .option('--predictions <file>', 'write one JSON line a picture: name, label, top5, probability')
    .option('--json', 'print the result as one JSON object', false)
    .action(runEvaluate);
}

async function runEvaluate(flags: Omit<EvaluateRequest, 'crops'> & { crops?: string; json: boolean }): Promise<void> {
  const progress = showProgress();
  try {
    const crops = flags.crops === undefined ? undefined : (Number(flags.crops) as 1 | 10);
    const report = await evaluateRun({ ...flags, crops }, progress);
    progress.stop();
    console.log(flags.json ? JSON.stringify(evaluateJson(report)) : describeEvaluation(report));
  } finally {
    progress.stop();
  }
}

function evaluateJson({ images, top1Error, top5Error, ...rest }: EvaluationReport): object {
  return { images, top1_error: top1Error, top5_error: top5Error, ...rest };
}

function describeEvaluation({ model, data, split, images, crops, top1Error, top5Error }: EvaluationReport): string {
  return `${model} on ${data}, ${images} ${split} pictures, ${crops} crop(s): top-1 error ${percent(top1Error)}, top-5 ${percent(top5Error)}`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}
