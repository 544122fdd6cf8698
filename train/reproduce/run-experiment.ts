/** Trains the variants of an experiment one after another, each a run of its own in the experiment's folder. */
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.js';
import { UserError } from '../../base/errors.js';
import { suggest } from '../../base/nearest.js';
import type { Interrupt } from '../../base/process/interrupt.js';
import type { Progress } from '../../base/progress.js';
import { foreignFile, refuseForeign, startOf } from '../../base/replaceable.js';
import { findNetwork } from '../../model/registry.js';
import { type ComputeChoice, startBackend } from '../../onnx/backend/select-backend.js';
import type { Dataset } from '../data/dataset.js';
import { DivergedError } from '../divergence.js';
import { evaluate } from '../evaluate/evaluate.js';
import { runPredictor } from '../evaluate/evaluate-run.js';
import { endsEpoch, readMetrics } from '../metrics/metrics-file.js';
import { loadCheckpoint } from '../run/load-checkpoint.js';
import { checkFree, openRun, type Run } from '../run/run-folder.js';
import { startTraining } from '../start/start.js';
import { openForTraining } from '../start/training-data.js';
import { EXPERIMENTS, type Experiment } from './experiments.js';
import { describeOutcome, type Outcome, plotOutcome, readOutcome, secondsTrained } from './outcome.js';
import { type ExperimentRequest, type Plan, planExperiment, SEARCH_SHARE, VALIDATION_COST } from './plan.js';

export interface Reproduced {
  outcomes: Outcome[];
  /** Table and sentence, Markdown. */
  text: string;
}

/** @throws {UserError} naming the experiments there are */
export function findExperiment(name: string): Experiment {
  if (Object.hasOwn(EXPERIMENTS, name)) return EXPERIMENTS[name];
  throw new UserError(`unknown experiment "${name}"${suggest(name, Object.keys(EXPERIMENTS))}`);
}

/**
 * Continues what `out` holds of the same experiment.
 * @returns undefined if it was interrupted; what was trained is kept
 * @throws {UserError} see `planExperiment` and `startTraining`
 */
export async function runExperiment(
  out: string,
  request: ExperimentRequest,
  compute: ComputeChoice,
  progress: Progress,
  interrupt: Interrupt,
): Promise<Reproduced | undefined> {
  const experiment = findExperiment(request.name);
  refuseForeign(await foreignResults(out), 'alexnet reproduce');
  const base = findNetwork(request.model ?? experiment.model);
  for (const { name } of experiment.variants(base)) await checkFree(join(out, name), true);
  await startBackend(compute, progress.note);
  const holdOut = { fraction: request.valFraction, seed: request.splitSeed };
  const choice = { holdOut, maxBad: request.maxBad };
  const dataset = await openForTraining(request.data, base.imagePx, choice, progress);
  const plan = await planExperiment(out, experiment, request, dataset, progress);
  const target = experiment.until === 'equal' ? undefined : experiment.until.trainTop1Error;
  const outcomes: Outcome[] = [];
  for (const [i, variant] of plan.variants.entries()) {
    const path = join(out, variant.name);
    const ends = performance.now() + 1000 * (await secondsLeft(path, plan, outcomes, dataset));
    progress.note(`\n— ${request.name}, variant ${i + 1} of ${plan.variants.length}: ${variant.name}`);
    const training = startTraining(
      {
        out: path,
        data: request.data,
        dataset,
        model: variant.model,
        settings: variant.settings,
        ...compute,
        resume: true,
        force: false,
        checkpointMinutes: 5,
        ...(target !== undefined && {
          stopWhen: ({ epoch, trainTop1Error }) =>
            epoch > 0 &&
            ((trainTop1Error ?? 1) <= target || (request.epochs === undefined && performance.now() > ends)),
        }),
      },
      progress,
      interrupt,
    );
    const trained = await training.catch((error) => noteDivergence(error, progress));
    if (trained?.interruptedBy) return undefined;
    const run = trained?.run ?? (await openRun(path));
    const measured = trained ? { tenCropError: await tenCropError(run, dataset, progress) } : { diverged: true };
    outcomes.push(await readOutcome(variant, run, target, measured));
  }
  return { outcomes, text: await writeResults(out, experiment, plan, outcomes) };
}

/**
 * Of a race, for the variant after `outcomes`; other plans fit their budget by their epochs. What one variant leaves of
 * its share is the others'; what an earlier call trained of it is a part of its share.
 * @param path  of the variant's run
 */
async function secondsLeft(path: string, plan: Plan, outcomes: readonly Outcome[], dataset: Dataset): Promise<number> {
  const { train, val } = dataset.splits;
  const budget = (1 - SEARCH_SHARE) * plan.request.budgetSeconds;
  const withValidation = 1 + (VALIDATION_COST * val.length) / train.length;
  const spent = withValidation * outcomes.reduce((sum, { seconds }) => sum + seconds, 0);
  const share = (budget - spent) / (plan.variants.length - outcomes.length);
  const before = secondsTrained((await readMetrics({ path })).filter(endsEpoch), train.length);
  return share - withValidation * before;
}

/** A run that diverged is an outcome; @throws any other error */
function noteDivergence(error: unknown, progress: Progress): undefined {
  if (!(error instanceof DivergedError)) throw error;
  progress.note(error.message);
}

/** @returns table and sentence */
async function writeResults(out: string, experiment: Experiment, plan: Plan, outcomes: Outcome[]): Promise<string> {
  const text = describeOutcome(experiment, outcomes);
  await writeFileAtomically(join(out, 'table.md'), text);
  await writeFileAtomically(join(out, 'plot.svg'), plotOutcome(experiment, outcomes));
  await writeFileAtomically(join(out, 'result.json'), `${JSON.stringify({ ...plan, outcomes }, null, 2)}\n`);
  return text;
}

/** Files of the experiment's own names in a folder without a plan of ours. */
async function foreignResults(out: string): Promise<string[]> {
  const plan = join(out, 'plan.json');
  const isPlan = (start: Buffer) => ['"request":', '"variants":'].every((key) => start.includes(key));
  const isOwn = isPlan(await startOf(plan));
  const results = RESULTS.map((name) => foreignFile(join(out, name), () => isOwn));
  return (await Promise.all([foreignFile(plan, isPlan), ...results])).flat();
}

const RESULTS = ['table.md', 'plot.svg', 'result.json'];

/** Of the last checkpoint; undefined if the network sees the whole image. */
async function tenCropError(run: Run, dataset: Dataset, progress: Progress): Promise<number | undefined> {
  if (run.inputPx === run.imagePx) return undefined;
  const { val: split } = dataset.splits;
  const { model } = await loadCheckpoint(run.last);
  try {
    const { predict, batch } = runPredictor(run, model, split, 10);
    const onProgress = (done: number, total: number) => progress.work('ten crops', done, total);
    return (await evaluate(predict, split, { batch, onProgress }))!.top1Error;
  } finally {
    model.dispose();
  }
}
