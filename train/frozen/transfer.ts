/**
 * What a run from another's weights takes if nobody states it: which layers stay frozen, how many views of each image
 * are kept, and how fast the last layer learns from them.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { centreCrop } from '../../base/crops.js';
import { UsageError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { tf } from '../../base/tfjs/core.js';
import type { NetworkSpec } from '../../model/spec.js';
import { croppedBatch } from '../data/batches/augment.js';
import type { Dataset } from '../data/dataset.js';
import { loadImages } from '../data/stream/read-ahead.js';
import { spreadOver } from '../evaluate/evaluate.js';
import type { Settings, TrainConfig } from '../settings/config.js';
import { layersWithWeights } from '../settings/freeze.js';
import { cutNetwork } from './cut-network.js';
import { type FeatureOptions, featureBytes } from './features.js';
import { roomFor } from './row-store.js';
import { whyFewerViews } from './views.js';

/** A network of as many classes has seen enough to know what images are made of. */
const IMAGENET_CLASSES = 1000;
/** With fewer images a class, all but the last layer would learn the images by heart. */
const FEW_PER_CLASS = 200;
/** The centre and its mirror image: AlexNet computes both of 1000 photographs in half a minute on two cores. */
const VIEWS = 2;
/** Of the last layer alone, times the features' mean square norm. */
const HEAD_RATE = 1;
/** Images by which that norm is measured. */
const RATE_IMAGES = 32;

/** A new run's config while it is put together. */
interface Draft {
  config: TrainConfig;
  /** What flags say; the recipe's and the defaults are in `config` already. */
  given: Partial<Settings>;
  spec: NetworkSpec;
  dataset: Dataset;
}

const isHeadAlone = (spec: NetworkSpec, freeze: readonly string[]) =>
  String(freeze) === String(layersWithWeights(spec).slice(0, -1));

/**
 * Settles `freeze` and `views`, and warns if fewer views differ than were asked for.
 * @param origin  the run that the weights come from
 * @throws {UsageError} if `--views` is given and no layer at the start is frozen
 */
export function settleFrozen(
  { config, given, spec, dataset: { labels, splits } }: Draft,
  origin: { labels: string[] } | undefined,
  note: Progress['note'],
): void {
  const names = layersWithWeights(spec);
  const isNew = origin?.labels.length === IMAGENET_CLASSES && String(labels) !== String(origin.labels);
  if (given.freeze === undefined && isNew && splits.train.length < FEW_PER_CLASS * labels.length) {
    config.freeze = names.slice(0, -1);
    note(
      `fewer than ${FEW_PER_CLASS} images a class: ${names[0]}..${names.at(-2)} stay as they are and ${names.at(-1)} learns; --freeze none trains all`,
    );
  }
  if (given.views === undefined) config.views = isHeadAlone(spec, config.freeze) ? VIEWS : 0;
  if (config.views === 0) return;
  if (config.freeze.includes(names[0])) {
    const why = given.views === undefined ? undefined : whyFewerViews(config, spec, splits.train);
    if (why) note(`warning: --views ${config.views}: ${why}`);
    return;
  }
  throw new UsageError(
    `--views ${config.views} keeps what frozen layers compute, and ${names[0]} is not frozen; add e.g. --freeze ${names[0]}..${names.at(-2)}`,
  );
}

/**
 * Settles what depends on the features: `views`, if they fill too much, and the learning rate of a last layer that
 * learns alone.
 * @param model  with the weights that it starts from
 */
export async function settleByFeatures(
  model: tfl.LayersModel,
  { config, given, spec, dataset }: Draft,
  options: Omit<FeatureOptions, 'config'>,
  note: Progress['note'],
): Promise<void> {
  const cut = config.views > 0 ? cutNetwork(model, config.freeze) : undefined;
  if (!cut) return;
  try {
    const bytes = featureBytes(cut.frozen, dataset.splits, { ...options, config });
    if (given.views === undefined && (await roomFor(bytes)) === undefined) {
      config.views = 0;
      note(
        `warning: frozen layers are computed at every use: what they make of all images fills ${(bytes / 1e9).toFixed(0)} GB`,
      );
    } else if (isHeadAlone(spec, config.freeze) && given.learningRate === undefined && config.recipe === undefined) {
      config.learningRate = await rateOfHead(cut.frozen, dataset, { ...options, config });
    }
  } finally {
    cut.head.dispose();
  }
}

/**
 * Below 8 / E‖x‖² the softmax of x · W cannot diverge at momentum 0.9: the loss curves by at most E‖x‖² / 2, and momentum
 * allows 2 · 1.9 times the inverse. A published rate is for features of its own network's size.
 */
async function rateOfHead(frozen: tfl.LayersModel, { splits }: Dataset, options: FeatureOptions): Promise<number> {
  const indices = spreadOver(splits.train, RATE_IMAGES);
  const loaded = await loadImages(splits.train, indices);
  const crop = centreCrop(options.imagePx, options.inputPx);
  const { images } = croppedBatch(loaded, options, indices, crop, options.config.seed);
  const square = tf.tidy(() => {
    const input = tf.tensor(images, [indices.length, options.inputPx, options.inputPx, 3]);
    const features = frozen.apply(input, { training: false }) as tf.Tensor;
    return tf.div(tf.sum(tf.square(features)), indices.length).dataSync()[0];
  });
  return Number((HEAD_RATE / (1 + square)).toPrecision(2)); // 1: the bias's own input
}
