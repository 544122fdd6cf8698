/** What layers are, by the operations that the file computes them with, and in words. */
import { count } from '../parts/numbers.js';
import type { Layer, Layers } from '../server/answers.js';

export type Kind =
  | 'convolution'
  | 'local'
  | 'pooling'
  | 'normalisation'
  | 'connected'
  | 'activation'
  | 'probabilities'
  | 'other';

export function kindOf({ op, output }: { op: string; output?: readonly number[] }): Kind {
  if (/^(QLinear)?Conv/.test(op)) return 'convolution';
  if (/^Q?(Linear)?(Gemm|MatMul)/.test(op)) return output?.length === 3 ? 'local' : 'connected';
  if (/^LRN|Normalization/.test(op) || isWithinMaps(op)) return 'normalisation';
  if (/Pool/.test(op)) return 'pooling';
  if (/^(Softmax|Sigmoid)/.test(op)) return 'probabilities';
  return /^(Relu|LeakyRelu|Clip|Tanh)/.test(op) ? 'activation' : 'other';
}

/** Response normalisation over places of one map has no operator of its own. */
function isWithinMaps(op: string): boolean {
  return /AveragePool.*Div/.test(op);
}

/** In place of the operators. */
export function operation(layer: Layer): string {
  if (isWithinMaps(layer.op)) return 'response normalisation within maps';
  const { op, activation, window } = layer;
  const kernel = window && ` ${window.kernel.join(' × ')}`;
  const groups = window && window.groups > 1 ? `, ${window.groups} groups` : '';
  return `${op}${kernel ?? ''}${groups}${activation ? `, ${activation}` : ''}`;
}

const NAMES: [Kind, one: string, more: string][] = [
  ['convolution', 'convolution', 'convolutions'],
  ['local', 'locally connected layer', 'locally connected layers'],
  ['pooling', 'pooling layer', 'pooling layers'],
  ['normalisation', 'response normalisation', 'response normalisations'],
  ['connected', 'fully connected layer', 'fully connected layers'],
];
const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];

/** The network in a sentence or two. */
export function summary({ layers, totals }: Layers): string {
  const parts = NAMES.flatMap(([kind, one, more]) => {
    const number = layers.filter((layer) => kindOf(layer) === kind).length;
    return number === 0 ? [] : [`${NUMBERS[number] ?? count(number)} ${number === 1 ? one : more}`];
  });
  if (parts.length === 0) return '';
  const list = new Intl.ListFormat('en', { type: 'conjunction' }).format(parts);
  const share = (key: 'macs' | 'parameters') => {
    const most = layers.reduce((best, layer) => (layer[key] > best[key] ? layer : best));
    return `${most.name} (${Math.round((100 * most[key]) / (totals[key] || 1))} %)`;
  };
  return (
    `${list.charAt(0).toUpperCase()}${list.slice(1)}. Most of the arithmetic is that of ${share('macs')}; ` +
    `most of the ${count(totals.parameters)} numbers are those of ${share('parameters')}.`
  );
}

/** Whether each unit of it stands for a class. */
export function isOfClasses(layer: Layer, { layers }: Layers): boolean {
  const last = layers.findLastIndex((one) => kindOf(one) === 'connected');
  return last >= 0 && layers.indexOf(layer) >= last;
}

/** What a layer does, and how its drawing is read. */
export function reading(layer: Layer, all: Layers): string[] {
  const { op, window, views } = layer;
  switch (kindOf(layer)) {
    case 'convolution':
      return ofConvolution(layer, all);
    case 'local':
      return [
        'As a convolution, but every place has kernels of its own: what is looked for may differ from place to place.',
      ];
    case 'pooling': {
      const value = /Max/.test(op) ? 'largest' : 'mean';
      if (!window) return [`The ${value} value of each map: where something was is gone, what it was is left.`];
      const side = window.kernel.join(' × ');
      return [`The ${value} value of each ${side} window: smaller maps, in which the exact place no longer counts.`];
    }
    case 'normalisation':
      if (views.includes('lrn'))
        return ['The same maps, each value divided by a measure of its neighbours in other maps (§3.3); see below.'];
      if (isWithinMaps(op))
        return ['The same maps, each value divided by a measure of the values around it in its own map.'];
      return ['The same maps, shifted and scaled to a common mean and spread.'];
    case 'connected':
      return ofConnected(layer, all);
    case 'activation':
      return [op === 'Relu' ? 'Negative values become 0 (§3.1); nothing else changes.' : `${op} of each value.`];
    case 'probabilities':
      return ['The probabilities, one for each class.'];
    default:
      return [`Computed by ${op}.`];
  }
}

function ofConvolution(layer: Layer, { layers }: Layers): string[] {
  const { input, output, window, activation, receptive_field: seen, views } = layer;
  const first = layers.find((one) => kindOf(one) === 'convolution') === layer;
  const kernel = [...(window?.kernel ?? []), input[0] / (window?.groups ?? 1)].join(' × ');
  const made =
    `${count(output[0])} kernels of ${kernel} numbers move over ${first ? 'the image' : 'the maps before'}, and each ` +
    'makes one map: bright where it found what it looks for.' +
    (activation === 'Relu' ? ' ReLU (§3.1) makes every negative sum 0, and so large parts are black.' : '');
  if (first) return [made, 'These maps still look like the image: edges and spots of colour.'];
  return [
    made,
    'Read a map as an answer to “where?”: a few bright spots stand where the image has the part that the map is for, ' +
      'and black means nowhere.' +
      (seen ? ` A pixel of it sees ${count(seen.size)} pixels of the image.` : '') +
      (views.includes('strongest') ? ' The strongest inputs below tell what that part is.' : ''),
  ];
}

function ofConnected(layer: Layer, all: Layers): string[] {
  if (isOfClasses(layer, all)) {
    const eachAlone = all.layers.some(({ op }) => op === 'Sigmoid');
    return [
      eachAlone
        ? 'One sum for each class; a sigmoid turns each into a probability of its own.'
        : 'One sum for each class; softmax turns these into probabilities. The largest is the answer.',
    ];
  }
  const inputs = layer.input.reduce((size, length) => size * length, 1);
  return [
    `${count(layer.output[0])} units, each a weighted sum of all ${count(inputs)} values before: where something was ` +
      'is gone, what it was is left.',
    'A single unit seldom means a thing that has a name. Read the whole as a fingerprint: images with similar ones ' +
      'look alike to the network, as Nearest images shows.',
  ];
}
