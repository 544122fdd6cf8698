/**
 * The settings of a training run: defaults, the network's recipe over them, a published recipe (`recipes.ts`) where one
 * is named, a person's flags over all.
 */
import { UsageError } from '../../base/errors.js';
import type { LrnChoice, Recipe } from '../../model/spec.js';

/** Published recipes, see `recipes.ts`. */
export const RECIPES = ['paper', 'cuda-convnet', 'caffe'] as const;
export type RecipeName = (typeof RECIPES)[number];

/** How the learning rate falls; see `schedule.ts`. */
export const SCHEDULES = ['plateau', 'step', 'cosine', 'constant'] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

/** What decides the result of a run, apart from the data set and the network. */
export interface Settings {
  /** Names every stream of random numbers: initial weights, order, crops, dropout. */
  seed: number;
  /** Passes over the training images; `plateau` may end before. */
  epochs: number;
  /** Images per update. */
  batch: number;
  /** Images computed at once, to bound memory; null: the whole batch. The update is the same up to rounding. */
  microBatch: number | null;
  learningRate: number;
  momentum: number;
  /** Decay of weights (kernels); biases do not decay. */
  weightDecay: number;
  /** Decay for single layers, by layer name. */
  weightDecayByLayer: Record<string, number>;
  /** Biases learn at this times the learning rate. */
  biasLearningRateFactor: number;
  /** Gradients are scaled down to this norm over all weights together; null: never. */
  clipNorm: number | null;
  schedule: ScheduleName;
  /** `step`: epochs after which the rate is divided by 10. */
  milestones: number[];
  /** `plateau`: epochs without a better validation error before the rate is divided by 10. */
  patience: number;
  /** The run ends when the validation error has not improved for this many epochs; null: at its last epoch. */
  earlyStop: number | null;
  /** The rate climbs linearly from 0 over this many epochs. */
  warmupEpochs: number;
  /** A window at a random place (else the centre) if images are larger than the network's input. */
  randomCrop: boolean;
  /** Half of the images mirrored, drawn again each epoch. */
  mirror: boolean;
  /** Images' colours are shifted along their principal components, by normal draws of this deviation; 0: never. */
  colourNoise: number;
  /**
   * Weights in the loss by class index, of mean 1 over the training images, see `data/class-weights.ts`; null: all 1.
   */
  classWeights: number[] | null;
  /**
   * How α of the response normalisation is read, if the network has that choice, see `model/alexnet.ts`; or the
   * constants of each such layer, as an imported file has them; null: as the network says.
   */
  lrn: LrnChoice | null;
  /** Layers whose weights stay as they are: no update, no decay, no gradient. */
  freeze: string[];
  /**
   * Views of each image for which the frozen layers at the network's start are computed once and kept, see
   * `frozen/views.ts`; 0: they are computed at every use.
   */
  views: number;
}

/** A run's settings with the data set and the network they apply to: what `config.json` keeps. */
export interface TrainConfig extends Settings {
  /** Data set as given to `--data`. */
  data: string;
  /** Network's name. */
  model: string;
  /** Published recipe that was named. */
  recipe?: RecipeName;
  /**
   * Run that the first weights come from, as given to `--from`, and the SHA-256 of their file; absent if they were
   * drawn.
   */
  from?: string;
  fromWeights?: string;
}

/** Settings that every network's recipe states. */
type Stated = Exclude<keyof Recipe, 'weightDecayByLayer' | 'milestones'>;

/** Every setting; those that a recipe states have no default. */
export const DEFAULTS: Omit<Settings, Stated> & Record<Stated, undefined> = {
  seed: 0,
  epochs: undefined,
  batch: undefined,
  microBatch: null,
  learningRate: undefined,
  momentum: undefined,
  weightDecay: undefined,
  weightDecayByLayer: {},
  biasLearningRateFactor: undefined,
  clipNorm: null,
  schedule: undefined,
  milestones: [],
  patience: 5, // the paper judged by eye
  earlyStop: null,
  warmupEpochs: 0,
  randomCrop: undefined,
  mirror: undefined,
  colourNoise: undefined,
  classWeights: null,
  lrn: null,
  freeze: [],
  views: 0,
};

/**
 * The recipe over the defaults, and `flags` over both. `--weight-decay` replaces the recipe's decay of single layers
 * too.
 * @throws {UsageError} when they contradict each other
 */
export function resolveSettings(recipe: Recipe & Partial<Settings>, flags: Partial<Settings>): Settings {
  const settings: Settings = { ...structuredClone(DEFAULTS), ...recipe };
  for (const key of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    if (flags[key] !== undefined) Object.assign(settings, { [key]: flags[key] });
  }
  if (flags.weightDecay !== undefined && flags.weightDecayByLayer === undefined) settings.weightDecayByLayer = {};
  checkSettings(settings);
  return settings;
}

/** @throws {UsageError} when they contradict each other */
export function checkSettings({ schedule, milestones, warmupEpochs, epochs }: Settings): void {
  if (schedule === 'step' && milestones.length === 0) {
    throw new UsageError(
      'schedule step needs --milestones, the epochs after which the rate falls, e.g. --milestones 30,60',
    );
  }
  if (warmupEpochs > epochs) throw new UsageError(`--warmup-epochs ${warmupEpochs} is more than --epochs ${epochs}`);
}

/**
 * @param flags     what the user asked for
 * @param settings  what it led to
 * @throws {UsageError} if a flag would have no effect
 */
export function checkFlags({ milestones, patience }: Partial<Settings>, { schedule }: Settings): void {
  for (const [flag, value, needed] of [
    ['--milestones', milestones, 'step'],
    ['--patience', patience, 'plateau'],
  ] as const) {
    if (value !== undefined && schedule !== needed)
      throw new UsageError(
        `${flag} counts under --schedule ${needed} alone, and the schedule is ${schedule}; leave one out`,
      );
  }
}

/** Updates of one pass over the training images; the last may have fewer than `batch`. */
export function stepsPerEpoch(images: number, batch: number): number {
  return Math.ceil(images / Math.min(batch, images));
}
