/** What people should hear before they wait: a large network and few images, and a loss no better than guessing. */

/**
 * A large network learns nothing from fewer: with 20 images in each of 10 classes AlexNet stayed at chance;
 * cifar10-quick did not.
 */
const FEW_IMAGES = 1000;
const MANY_WEIGHTS = 4e6;
const SMALL_NETWORK = 'cifar10-quick';

interface Start {
  model: string;
  images: number;
  weights: number;
  /** The weights come from another run. */
  from?: string;
}

/** @returns what works instead, for people; undefined if there are enough images for the network */
export function adviceForFewImages({ model, images, weights, from }: Start): string | undefined {
  if (from !== undefined || images >= FEW_IMAGES || weights < MANY_WEIGHTS) return undefined;
  return (
    `warning: ${images} training images are too few for the ${(weights / 1e6).toFixed(0)} million weights of ${model}, drawn at random: ` +
    'it will hardly do better than guessing. What works: start from the weights of a trained or imported run ' +
    `(--from RUN --freeze conv1..conv5; "alexnet import" makes one), or take a small network (--model ${SMALL_NETWORK})`
  );
}

/** Cross-entropy of giving every class the same probability. */
export const lossOfGuessing = (classes: number): number => Math.log(classes);

/**
 * What to try if an epoch's mean loss is that of guessing, or above. On 200 images AlexNet's loss climbs at its rate
 * and at a tenth of it.
 */
export function adviceAtChance(
  loss: number,
  classes: number,
  learningRate: number,
  { images, weights, from }: Omit<Start, 'model'>,
): string {
  const lower = learningRate / (images < FEW_IMAGES ? 100 : 10);
  const ways = [
    `start again with --lr ${Number(lower.toPrecision(2))}`,
    ...(weights < MANY_WEIGHTS ? [] : [`take a small network (--model ${SMALL_NETWORK})`]),
    ...(from === undefined ? ['start from the weights of a trained or imported run (--from RUN)'] : []),
  ];
  const list = ways.length > 1 ? `${ways.slice(0, -1).join(', ')} or ${ways.at(-1)}` : ways[0];
  return (
    `warning: a training loss of ${loss.toFixed(2)} is no better than guessing among ${classes} classes (${lossOfGuessing(classes).toFixed(2)}). ` +
    `If it does not fall within a few epochs, ${list}`
  );
}
