/**
 * Published recipes by name, for `--recipe`: they override the network's own settings, and flags override them.
 * Sources: the paper (Krizhevsky, Sutskever, Hinton 2012), §5 and §4.1; the authors' code and its logs
 * (computerhistory/AlexNet-Source-Code); cuda-convnet's example-layers; Caffe's solvers (BVLC/caffe). What they say of
 * initial weights belongs to the networks' tables.
 */

import { UsageError } from '../../base/errors.js';
import { ALEXNET } from '../../model/alexnet.js';
import { CAFFENET } from '../../model/caffenet.js';
import { CIFAR10_11PCT, CIFAR10_18PCT, CIFAR10_QUICK } from '../../model/cifar10.js';
import { hasLrnChoice } from '../../model/geometry.js';
import type { LrnConvention, NetworkName, NetworkSpec, Recipe } from '../../model/spec.js';
import { baseName } from '../../model/variant.js';
import type { RecipeName, Settings } from './config.js';

/** The values of a recipe for one network. */
export interface PublishedRecipe {
  /** Paper or file. */
  source: string;
  settings: Recipe & Partial<Settings>;
}

/**
 * The authors' run on ILSVRC-2010, 37.5 % top-1 error: layers/layer-params-145-2010.cfg and the log at its end. There
 * colour noise ends and conv1 learns at a tenth from epoch 68 on, conv1 stands still from 72 on, and biases were not
 * always slowed with weights.
 */
const AUTHORS: Recipe = {
  learningRate: 0.01, // "epoch 23: set epsw to 0.001 from 0.01"
  batch: 128, // convnet.py, --mini
  momentum: 0.9, // momW, momB
  weightDecay: 0.0005, // wc; of weights alone
  biasLearningRateFactor: 2, // epsB 0.02
  epochs: 93, // "epoch 93: killed"
  schedule: 'step',
  milestones: [23, 51, 78], // "set epsw to 0.001", "0.0001", "0.00001"
  randomCrop: true, // convdata.py, crop_border 16
  mirror: true, // convdata.py
  colourNoise: 0.1, // "set color noise to 0 from 0.1"
};

/** cuda-convnet's 80-second net, which Caffe's quick one is but for a ReLU: example-layers/layer-params-80sec.cfg. */
const EIGHTY_SECONDS: Recipe = {
  ...CIFAR10_QUICK.recipe, // epsW 0.001, epsB 0.002, a tenth after 8 epochs
  batch: 128, // convnet.py, --mini
  weightDecayByLayer: { fc64: 0.03, fc10: 0.03 }, // wc
};

/**
 * Caffe's solvers cifar10_full_solver.prototxt, …_lr1 and …_lr2 have cuda-convnet's values for its 18 % net but one.
 */
const CIFAR10_FULL: Recipe = {
  ...CIFAR10_18PCT.recipe, // 60,000, 5,000 and 5,000 iterations of 100; ip1: decay_mult 250
  batch: 100, // batch_size
};

interface Source {
  source: string;
  recipe: Recipe;
  /** α of response normalisation, for networks with that choice. */
  lrn: LrnConvention;
  /** For networks of CIFAR-10; absent: the recipe is for every size. */
  cifar10?: Partial<Record<NetworkName, { source: string; recipe: Recipe }>>;
}

const SOURCES: Record<RecipeName, Source> = {
  paper: { source: 'Krizhevsky et al. 2012, §5, §4.1, §3.3', recipe: ALEXNET.recipe, lrn: 'printed' },
  'cuda-convnet': {
    source: 'computerhistory/AlexNet-Source-Code layers/layer-params-145-2010.cfg',
    recipe: AUTHORS,
    lrn: 'code', // layer.py: scale /= size
    cifar10: {
      'cifar10-18pct': { source: 'cuda-convnet layer-params-18pct.cfg', recipe: CIFAR10_18PCT.recipe },
      'cifar10-11pct': { source: 'cuda-convnet layer-params-conv-local-11pct.cfg', recipe: CIFAR10_11PCT.recipe },
      'cifar10-quick': { source: 'cuda-convnet layer-params-80sec.cfg', recipe: EIGHTY_SECONDS },
    },
  },
  caffe: {
    source: 'BVLC/caffe models/bvlc_alexnet/solver.prototxt, train_val.prototxt',
    recipe: CAFFENET.recipe, // its solver is the same
    lrn: 'code', // lrn_layer.cpp divides alpha by local_size; its k = 1 is caffenet's
    cifar10: {
      'cifar10-18pct': { source: 'BVLC/caffe examples/cifar10/cifar10_full_solver.prototxt', recipe: CIFAR10_FULL },
      'cifar10-quick': {
        source: 'BVLC/caffe examples/cifar10/cifar10_quick_solver.prototxt',
        recipe: CIFAR10_QUICK.recipe,
      },
    },
  },
};

/**
 * Every value that the recipe has for the network: of ImageNet's recipe for images of its size, else what was published
 * for it.
 * @throws {UsageError} if nothing was published for a network of CIFAR-10
 */
export function publishedRecipe(name: RecipeName, spec: NetworkSpec): PublishedRecipe {
  const { cifar10, lrn, ...general } = SOURCES[name];
  const isCifar10 = spec.imagePx < ALEXNET.imagePx;
  const published = isCifar10 && cifar10 ? cifar10[baseName(spec)] : general;
  if (!published) {
    const names = Object.keys(cifar10!).join(', ');
    throw new UsageError(
      `--recipe ${name}: has no values for ${spec.name}, only for ${names} and networks of ImageNet`,
    );
  }
  const { source, recipe } = published;
  const cleared = { milestones: [], weightDecayByLayer: {} }; // nothing of the network's own recipe stays
  return { source, settings: { ...cleared, ...recipe, ...(hasLrnChoice(spec) && { lrn }) } };
}

/** For people: where the recipe is from and each of its values, with the flag's value if one is given. */
export function describeRecipe(
  name: RecipeName,
  { source, settings }: PublishedRecipe,
  flags: Partial<Settings>,
): string {
  const lines = Object.entries(settings).map(([key, value]) => {
    const flag = flags[key as keyof Settings];
    return `  ${key} ${JSON.stringify(value)}${flag === undefined ? '' : ` (by its flag ${JSON.stringify(flag)})`}`;
  });
  return [`recipe ${name}: ${source}`, ...lines].join('\n');
}
