/**
 * The experiments of Krizhevsky, Sutskever, Hinton 2012 as tables of variants: networks and settings that differ in one
 * thing. The paper made some of them on CIFAR-10, whose networks are the defaults here; any network can be put in their
 * place.
 */
import type { NetworkName, NetworkSpec } from '../../model/spec.js';
import { baseName } from '../../model/variant.js';
import type { Settings } from '../settings/config.js';

/** One of the networks or settings compared. */
export interface Variant {
  /** Name of its folder, and in table and plot. */
  name: string;
  /** Network's name. */
  model: string;
  settings: Partial<Settings>;
}

export interface Experiment {
  /** What is compared, for people. */
  title: string;
  /** Where the paper has it, and what it found. */
  paper: string;
  /** Network if none is named. */
  model: string;
  /**
   * `equal`: every variant is trained for as many epochs, errors are compared at the end. A training error: every
   * variant is trained, at the best rate of a search, until it has it.
   */
  until: 'equal' | { trainTop1Error: number; learningRates: readonly number[] };
  /** Of all variants, over the network's recipe. */
  settings: Partial<Settings>;
  variants(base: NetworkSpec): Variant[];
}

const edited = ({ name }: NetworkSpec, ...edits: string[]) => [name, ...edits].join('.');
/** Edits that leave out the rows of these types. */
const withoutTypes = ({ rows }: NetworkSpec, ...types: string[]) =>
  rows.filter(({ type }) => types.includes(type)).map(({ name }) => `no-${name}`);

export const EXPERIMENTS: Record<string, Experiment> = {
  figure1: {
    title: 'epochs to a training error of 25 %, ReLU against tanh',
    paper: '§3.1, Figure 1: a four-layer network with ReLU gets there six times faster than with tanh',
    model: 'cifar10-18pct.no-rnorm1.no-rnorm2', // three convolutions and one fully connected layer
    until: { trainTop1Error: 0.25, learningRates: [0.001, 0.002, 0.004, 0.008, 0.016] },
    // "The learning rates for each network were chosen independently … No regularization of any kind was employed."
    settings: { schedule: 'constant', weightDecay: 0, weightDecayByLayer: {}, ...augmentation(false, false, 0) },
    variants: (base) => [
      { name: 'relu', model: base.name, settings: {} },
      { name: 'tanh', model: edited(base, 'tanh'), settings: {} },
    ],
  },
  lrn: {
    title: 'local response normalisation',
    paper:
      '§3.3: a four-layer network on CIFAR-10 had 13 % test error without and 11 % with it; ImageNet: top-1 1.4 points better',
    model: 'cifar10-11pct',
    until: 'equal',
    settings: {},
    variants: (base) => [
      { name: 'with', model: base.name, settings: {} },
      { name: 'without', model: edited(base, ...withoutTypes(base, 'lrn', 'rnorm')), settings: {} },
    ],
  },
  overlap: {
    title: 'pooling windows of 3 that overlap, against 2, both in steps of 2',
    paper: '§3.4: overlapping windows make top-1 0.4 and top-5 0.3 points better (ImageNet)',
    model: 'cifar10-18pct',
    until: 'equal',
    settings: {},
    variants: (base) => [
      { name: 'overlapping', model: base.name, settings: {} },
      { name: 'side-by-side', model: edited(base, 'pool2'), settings: {} },
    ],
  },
  dropout: {
    title: 'dropout of half before the last layers',
    paper:
      '§4.2: without dropout the network overfits substantially; with it, twice the iterations are needed (ImageNet)',
    model: 'cifar10-18pct',
    until: 'equal',
    settings: {},
    variants: (base) => {
      const drops = withoutTypes(base, 'dropout');
      return [
        { name: 'with', model: drops.length > 0 ? base.name : edited(base, 'dropout'), settings: {} },
        { name: 'without', model: edited(base, ...drops), settings: {} },
      ];
    },
  },
  augmentation: {
    title: 'crops, mirror images, colours',
    paper:
      '§4.1: without crops and mirror images the network overfits substantially; colours make top-1 over 1 point better (ImageNet)',
    model: 'cifar10-11pct',
    until: 'equal',
    settings: {},
    variants: (base) => [
      { name: 'none', model: base.name, settings: augmentation(false, false, 0) },
      { name: 'crops', model: base.name, settings: augmentation(true, false, 0) },
      { name: 'crops-mirrors', model: base.name, settings: augmentation(true, true, 0) },
      { name: 'crops-mirrors-colours', model: base.name, settings: augmentation(true, true, 0.1) },
    ],
  },
  depth: {
    title: 'every middle layer removed in turn',
    paper: '§7: removing any of the middle layers makes top-1 about 2 points worse (ImageNet)',
    model: 'cifar10-11pct',
    until: 'equal',
    settings: {},
    variants: (base) => {
      const [, ...middle] = withoutTypes(base, 'conv', 'local'); // the first stays
      const removed = middle.map((edit) => ({ name: edit, model: edited(base, edit), settings: {} }));
      return [{ name: 'whole', model: base.name, settings: {} }, ...removed];
    },
  },
  momentum: {
    title: 'momentum 0.9 against none',
    paper: '§5: momentum 0.9 is used; no figure without it',
    model: 'cifar10-18pct',
    until: 'equal',
    settings: {},
    variants: (base) => [
      { name: 'momentum-0.9', model: base.name, settings: { momentum: 0.9 } },
      { name: 'none', model: base.name, settings: { momentum: 0 } },
      // A velocity of momentum 0.9 grows to ten times one step's.
      { name: 'none-rate-x10', model: base.name, settings: { momentum: 0, ...timesTen(base) } },
    ],
  },
  decay: {
    title: 'weight decay against none',
    paper:
      '§5: "this small amount of weight decay was important for the model to learn": it reduces the training error',
    model: 'cifar10-18pct',
    until: 'equal',
    settings: {},
    variants: (base) => [
      { name: 'with', model: base.name, settings: {} },
      { name: 'without', model: base.name, settings: { weightDecay: 0, weightDecayByLayer: {} } },
    ],
  },
};

/** Rates that suit runs of tens of epochs; the recipe's are for hundreds. */
const SHORT_RUN_RATES: Partial<Record<NetworkName, number>> = { 'cifar10-18pct': 0.002, 'cifar10-11pct': 0.003 };

/** The learning rate of an experiment with a network: of its recipe, or one for short runs. */
export function shortRunRate(network: NetworkSpec): number {
  return SHORT_RUN_RATES[baseName(network)] ?? network.recipe.learningRate;
}

function timesTen(base: NetworkSpec): Partial<Settings> {
  return { learningRate: 10 * shortRunRate(base) };
}

function augmentation(randomCrop: boolean, mirror: boolean, colourNoise: number): Partial<Settings> {
  return { randomCrop, mirror, colourNoise };
}
