/** Flags that commands which train share: `train` and `find-lr`. */
import { type Command, Option } from 'commander';
import { ALEXNET } from '../model/alexnet.js';
import { NETWORKS } from '../model/registry.js';
import type { Recipe } from '../model/spec.js';
import { BACKENDS } from '../onnx/backend/select-backend.js';
import type { DataChoice } from '../train/data/dataset.js';
import { DATA_HELP } from '../train/data/open-dataset.js';
import { DEFAULTS, RECIPES, type Settings } from '../train/settings/config.js';
import type { NewRunRequest } from '../train/start/new-run.js';
import { type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { fractionBelowOne, nonNegativeNumber, positiveInteger, positiveNumber, wholeNumber } from './flag-types.js';
import { providerOption } from './provider-flag.js';

/** The default of a flag whose value the network's recipe states, in its help. */
export const recipeDefault = (name: keyof Recipe) =>
  `(default: the network's recipe; ${ALEXNET.name}'s: ${ALEXNET.recipe[name]})`;

export const backendOption = () => new Option('--backend <name>', 'what computes').choices(BACKENDS).default('auto');

export const CROPS_HELP = '1, the centre; 2, and its mirror image; 5, corners and centre; 10, and their mirror images';

export const STREAM_HELP =
  'decode images at every use; the default only if they would fill more than half of the free memory';

/** Data set, network and first weights. */
export function networkOptions(command: Command): Command {
  return dataOptions(command.optionsGroup('Data:').option('--data <data>', DATA_HELP))
    .option('--stream', STREAM_HELP, false)
    .option('--classes <n>', "stop unless the data has N classes (default: the data's number)", positiveInteger)
    .optionsGroup('Network:')
    .option('--model <name>', `network: ${Object.keys(NETWORKS).join(', ')} (default: that of --from)`)
    .option(
      '--from <run>',
      'fine-tune: start with weights (best/, else last/) and mean of another run, trained or imported; the last layer is initialised from scratch unless the labels are equal',
    )
    .option(
      '--freeze <layers>',
      'layers whose weights stay as they are, e.g. conv1..conv5, conv1,fc6 or none (default: none; all but the last with --from a network of 1000 classes and fewer than 200 images a class)',
      words,
    )
    .option(
      '--views <n>',
      'compute frozen layers once for N views of each image: 1, 2, 5 or 10 are the crops of evaluation, other numbers random ones, for which the exported file averages all crops; 0: at every use (default: 2 if only the last layer learns, else 0)',
      wholeNumber,
    );
}

/** What decides an update, but for the learning rate. */
export function updateOptions(command: Command): Command {
  return command
    .optionsGroup('Learning:')
    .addOption(
      new Option(
        '--recipe <name>',
        "published settings instead of the network's recipe: of the paper, of its authors' code, of Caffe; flags override them (default: none)",
      ).choices(RECIPES),
    )
    .option('--batch <n>', `images per update ${recipeDefault('batch')}`, positiveInteger)
    .option(
      '--momentum <m>',
      `share of the velocity kept in an update, 0 to below 1 ${recipeDefault('momentum')}`,
      fractionBelowOne,
    )
    .option(
      '--weight-decay <d>',
      `decay of kernels in an update, times the learning rate; 0: none ${recipeDefault('weightDecay')}`,
      nonNegativeNumber,
    )
    .option(
      '--bias-learning-rate-factor <f>',
      `biases learn at --lr times this, 0 or more ${recipeDefault('biasLearningRateFactor')}`,
      nonNegativeNumber,
    )
    .option('--clip-norm <norm>', 'scale gradients down to this norm, above 0 (default: never)', positiveNumber)
    .addOption(
      new Option('--lrn <convention>', 'α of response normalisation as printed or as in the code').choices([
        'printed',
        'code',
      ]),
    )
    .optionsGroup('Augmentation:')
    .option('--mirror', "mirror half of the images (default: the network's recipe)")
    .option('--no-mirror', 'never mirror')
    .option('--random-crop', "crop at random places (default: the network's recipe)")
    .option('--no-random-crop', 'crop the centre')
    .option(
      '--colour-noise <deviation>',
      `shift colours along their principal components, standard deviations; 0: never ${recipeDefault('colourNoise')}`,
      nonNegativeNumber,
    )
    .optionsGroup('Learning:')
    .option(
      '--class-weights <weights>',
      'weigh the loss by class: balanced, so that rare classes count as much as frequent ones, or a JSON file of weights by label (default: none)',
    )
    .option('--seed <n>', `seed of all random numbers, a whole number (default: ${DEFAULTS.seed})`, wholeNumber)
    .optionsGroup('Computing:')
    .option('--micro-batch <n>', 'images computed at once, to bound memory (default: the batch)', positiveInteger)
    .addOption(backendOption())
    .addOption(providerOption());
}

/** The flags that are settings, put together. */
export function newRunRequest(
  flags: Omit<NewRunRequest, 'settings' | keyof DataChoice> & DataFlags & Partial<Omit<Settings, 'classWeights'>>,
): NewRunRequest {
  const { data, stream, model, from, classes, classWeights, recipe, ...others } = flags;
  const settings = Object.entries(others).filter(([key, value]) => key in DEFAULTS && value !== undefined);
  const given = { data, stream, model, from, classes, classWeights, recipe };
  return { ...given, ...dataChoice(flags), settings: Object.fromEntries(settings) };
}

/** Parts between commas. */
function words(text: string): string[] {
  return text.split(',').map((word) => word.trim());
}
