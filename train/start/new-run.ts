/**
 * Puts a new run together, not yet on disk: data set, network with its initial weights, settings, mean image, colours.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UsageError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { random } from '../../base/random.js';
import { packageVersions } from '../../base/versions.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import type { NetworkSpec } from '../../model/spec.js';
import { summarize } from '../../model/summary.js';
import { classWeights } from '../data/batches/class-weights.js';
import { colourStatistics } from '../data/batches/colour.js';
import { isReadByShards } from '../data/batches/epoch-batches.js';
import { meanImage } from '../data/batches/mean.js';
import type { DataChoice, Dataset } from '../data/dataset.js';
import { loadImages } from '../data/stream/read-ahead.js';
import { settleByFeatures, settleFrozen } from '../frozen/transfer.js';
import { type RunContents, resamplingOf, SAMPLE_IMAGES } from '../run/run-folder.js';
import { checkFlags, type RecipeName, resolveSettings, type Settings, type TrainConfig } from '../settings/config.js';
import { frozenLayers } from '../settings/freeze.js';
import { describeRecipe, publishedRecipe } from '../settings/recipes.js';
import { adviceForFewImages } from './few-images.js';
import { modelFromOrigin, networkOfOrigin, type Origin, openOrigin } from './fine-tune.js';
import type { PreparedRun } from './prepared-run.js';
import { absolutePaths, checkClasses, countImages, imageNames, openForTraining } from './training-data.js';

/** What the user asks of a new run. */
export interface NewRunRequest extends DataChoice {
  /** Data set and network; needed for a new run, as stored for one that is resumed. */
  data?: string;
  model?: string;
  /** `data` opened already, with the splits train and val, at the size that the network takes. */
  dataset?: Dataset;
  /** Run whose weights and mean a new run starts with. */
  from?: string;
  /** Decode images at every use, even if they fit in memory. */
  stream?: boolean;
  /** Number of classes that the data set must have. */
  classes?: number;
  /** `balanced` or a file of weights by label, see `data/class-weights.ts`. */
  classWeights?: string;
  /** Published recipe, over the network's. */
  recipe?: RecipeName;
  /** Settings given, over the recipe; `freeze` may hold ranges, see `freeze.ts`. */
  settings: Partial<Settings>;
}

/**
 * @param who  needs data set and network, for the message
 * @throws {UserError} if data set or network is missing, or there is no such network
 */
export function checkNewRun({ data, model, from }: NewRunRequest, who = 'a new run'): void {
  if (data === undefined || (model === undefined && from === undefined)) {
    throw new UsageError(`${who} needs --data and --model${data === undefined ? '' : ' (or --from RUN)'}`);
  }
  if (model !== undefined) findNetwork(model);
}

/**
 * @throws {UserError} for anything about request or data set that does not fit; see the functions called
 */
export async function prepareNewRun(request: NewRunRequest, progress: Progress): Promise<PreparedRun<RunContents>> {
  if (request.from === undefined) return prepareFrom(undefined, request, progress);
  const origin = await openOrigin(request.from);
  try {
    return await prepareFrom(origin, request, progress);
  } finally {
    origin.checkpoint.model.dispose();
  }
}

/** @param origin  the run whose weights it starts with, if any */
async function prepareFrom(
  origin: Origin | undefined,
  request: NewRunRequest,
  progress: Progress,
): Promise<PreparedRun<RunContents>> {
  const spec = findNetwork(origin ? networkOfOrigin(origin, request.model) : request.model!);
  const config = configFrom(origin, request, spec, progress);
  const { imagePx, inputPx } = spec;
  const { stream, holdOut, maxBad } = request;
  const resampling = origin && resamplingOf(origin.run);
  const options = { stream, holdOut, maxBad, resampling };
  const dataset = request.dataset ?? (await openForTraining(config.data, imagePx, options, progress));
  const { labels, synsets } = dataset;
  checkClasses(dataset, request.classes);
  const { train } = dataset.splits;
  const draft = { config, given: request.settings, spec, dataset };
  settleFrozen(draft, origin?.run, progress.note);
  if (request.classWeights) config.classWeights = await classWeights(request.classWeights, labels, train.labels);
  const mean = origin?.run.mean ?? dataset.mean ?? meanImage(train, config.seed);
  const run = {
    config,
    paths: absolutePaths(config),
    imagePx,
    inputPx,
    pictures: countImages(dataset),
    pictureNames: imageNames(dataset),
    resampling,
    holdOut: dataset.holdOut,
    maxBad,
    byShards: isReadByShards(train),
    versions: packageVersions(),
    colours: config.colourNoise > 0 ? (dataset.colours ?? colourStatistics(train, config.seed)) : undefined,
    labels,
    synsets,
    mean,
  };
  const weights = summarize(spec, labels.length).parameters;
  const advice = adviceForFewImages({ model: spec.name, images: train.length, weights, from: request.from });
  if (advice) progress.note(advice); // before the seconds in which a large network's weights are drawn
  const model = origin ? modelFromOrigin(origin, config, labels) : initialModel(config, labels);
  await settleByFeatures(model, draft, { imagePx, inputPx, mean, colours: run.colours }, progress.note);
  return { run: { ...run, samples: await sampleImages(dataset) }, dataset, model };
}

function configFrom(
  origin: Origin | undefined,
  { data, from, recipe, settings }: NewRunRequest,
  spec: NetworkSpec,
  progress: Progress,
): TrainConfig {
  const freeze = frozenLayers(spec, settings.freeze ?? []);
  const lrn = settings.lrn ?? origin?.run.config.lrn;
  const published = recipe && publishedRecipe(recipe, spec);
  if (published) progress.note(describeRecipe(recipe, published, { ...settings, lrn }));
  const config: TrainConfig = {
    data: data!,
    model: spec.name,
    ...(recipe && { recipe }),
    ...(origin && { from, fromWeights: origin.checkpoint.weightsSha256 }),
    ...resolveSettings({ ...spec.recipe, ...published?.settings }, { ...settings, freeze, lrn }),
  };
  checkFlags(settings, config);
  return config;
}

/** Validation images spread over the split, and so over the classes. */
export async function sampleImages({ splits: { val }, imagePx }: Dataset): Promise<Uint8Array> {
  const count = Math.min(SAMPLE_IMAGES, val.length);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * val.length) / count));
  const images = await loadImages(val, indices);
  const samples = new Uint8Array(count * imagePx ** 2 * 3);
  for (const [i, index] of indices.entries()) {
    samples.set(images.pixels(index, random(0, 'sample', index)), i * imagePx ** 2 * 3);
  }
  return samples;
}

/** The network with weights drawn from the run's seed. */
export function initialModel(config: TrainConfig, labels: string[]): tfl.LayersModel {
  return buildNetwork(findNetwork(config.model), {
    classes: labels.length,
    seed: config.seed,
    lrn: config.lrn ?? undefined,
  });
}
