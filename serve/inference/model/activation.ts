/**
 * From what a model's output holds to probabilities. Whether it holds them already is taken from the description next
 * to the file, else by the graph where that leaves no doubt, else by the numbers that the model gives for some trial
 * images.
 */

import { UserError } from '../../../base/errors.js';
import type { ACTIVATIONS } from '../../../onnx/file/classifier-schema.js';
import type { Ending } from '../../../onnx/file/ending.js';
import { RequestError } from '../../errors.js';

/** `exp` undoes a logarithm, `normalize` divides by a row's sum. */
export type Applied = (typeof ACTIVATIONS)[number] | 'exp' | 'normalize';

export interface Activation {
  /** What is applied to the output's values here. */
  applied: Applied;
  /** Every label has a probability of its own: a row need not sum to 1. */
  multiLabel: boolean;
  /** The values are given as they are, whatever they mean. */
  raw?: boolean;
  /** What that follows from, for people. */
  why: string;
}

/** What is known of an output before the model has run. */
export interface OutputFacts {
  /** Of a file that says so itself. */
  known?: Activation;
  /** `output.activation` of config.json. */
  configured?: (typeof ACTIVATIONS)[number];
  /** Labels exclude each other, or do not, as `problem_type` of config.json has it. */
  problem?: 'single_label' | 'multi_label';
  /** What the graph tells. */
  ending?: Ending;
  classes: number;
  /** Values a row: the classes, or 1, the probability of the second of two. */
  width: number;
}

/** A probability may lie this much below 0. */
const TINY = 1e-6;
/** Softmax of float32 in 0 … 1 sums to 1 within this; 8-bit codes are not so exact. */
const NEAR_ONE = 0.01;
/** Sums that are not an accident, whatever the graph looks like. */
const EXACTLY_ONE = 1e-4;
/** Sums of float16 that are the same but for its rounding; those of logits come within 0.01 of one another. */
const ALIKE = 1e-3;
/** Trial images whose numbers decide, at most. */
export const TRIALS = 6;

/**
 * @param trial  the output's rows for trial image 0 … TRIALS − 1, in one array
 * @param remembered  what was decided before by the same facts and file
 * @throws {UserError} if what the description asks for makes no sense, or the output cannot be used
 */
export async function decideActivation(
  facts: OutputFacts,
  trial: (image: number) => Promise<Float32Array>,
  remembered?: Activation,
): Promise<Activation> {
  const certain = facts.known ?? remembered;
  if (certain) return certain;
  const { configured, ending } = facts;
  if (configured) return asConfigured(facts, configured);
  const first = measure(await trial(0), facts.width);
  if (ending && !ending.partial && !contradicts(ending, first)) return byGraph(facts, ending);
  const all = [first];
  while (all.length < TRIALS && !isSettled(all[all.length - 1])) {
    all.push(measure(await trial(all.length), facts.width));
  }
  return byNumbers(facts, together(all), all.length);
}

/** For people: what is done with the values of the output, and why. */
export function describeActivation({ applied, multiLabel, why }: Activation): string {
  const done = {
    none: 'taken as it is',
    softmax: 'softmax added',
    sigmoid: 'sigmoid added',
    exp: 'exp added',
    normalize: 'divided by its sum',
  }[applied];
  return `${done}${multiLabel ? ', a probability for each label alone' : ''} (${why})`;
}

/** Probabilities by class of a row of the output. */
export function probabilitiesOf(row: Float32Array, applied: Applied, classes: number): Float64Array {
  const values = APPLY[applied](row);
  return classes === 2 && values.length === 1 ? Float64Array.of(1 - values[0], values[0]) : values;
}

/**
 * @throws {RequestError} INVALID_IMAGE where a model gave other numbers, as those that divide by an image's contrast do
 *   for a plain one
 */
export function requireFinite(probabilities: Float32Array): Float32Array {
  if (probabilities.every(Number.isFinite)) return probabilities;
  throw new RequestError('INVALID_IMAGE', 'the model gives no finite numbers for this image');
}

const APPLY: Record<Applied, (row: Float32Array) => Float64Array> = {
  none: (row) => Float64Array.from(row),
  softmax,
  sigmoid: (row) => Float64Array.from(row, (logit) => 1 / (1 + Math.exp(-logit))),
  exp: (row) => Float64Array.from(row, Math.exp),
  normalize: (row) => {
    const sum = row.reduce((a, b) => a + b, 0);
    return Float64Array.from(row, (value) => (sum === 0 ? 1 / row.length : value / sum)); // all may be rounded to 0
  },
};

function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

function asConfigured({ width, classes, ending }: OutputFacts, applied: 'softmax' | 'sigmoid' | 'none'): Activation {
  if (applied === 'softmax' && width === 1) {
    throw new UserError(
      'config.json: output.activation: the softmax of a single value is always 1; expected sigmoid, or none',
    );
  }
  const already = applied !== 'none' && ending && ending.kind !== 'logits';
  const doubt = already ? `, although the graph ends with ${ending.op}` : '';
  const single = applied === 'none' ? ending?.kind === 'softmax' && !ending.partial : applied === 'softmax';
  const isTold = (ending?.kind === 'softmax' && !ending.scaled) || ending?.kind === 'sigmoid';
  return {
    applied,
    multiLabel: !single && !isBinary({ width, classes }),
    ...(applied === 'none' && !isTold && { raw: true }),
    why: `output.activation in config.json${doubt}`,
  };
}

/** One value for two labels that exclude each other. */
function isBinary({ width, classes }: Pick<OutputFacts, 'width' | 'classes'>): boolean {
  return width === 1 && classes === 2;
}

function byGraph(facts: OutputFacts, { kind, op, scaled }: Ending): Activation {
  const binary = isBinary(facts);
  const doubt = facts.problem === 'multi_label' ? ', although problem_type in config.json is multi-label' : '';
  if (scaled) {
    return { applied: 'normalize', multiLabel: false, why: `the graph ends with a multiple of ${op}${doubt}` };
  }
  switch (kind) {
    case 'softmax':
      return { applied: 'none', multiLabel: false, why: `the graph ends with ${op}: probabilities already${doubt}` };
    case 'logSoftmax':
      return { applied: 'exp', multiLabel: false, why: `the graph ends with ${op}: logarithms of probabilities` };
    case 'sigmoid':
      return { applied: 'none', multiLabel: !binary, why: `the graph ends with ${op}: probabilities already` };
    default:
      return ofLogits(facts, `the graph ends with ${op}: logits`);
  }
}

function ofLogits(facts: OutputFacts, why: string): Activation {
  if (facts.problem === 'multi_label') {
    return { applied: 'sigmoid', multiLabel: true, why: `problem_type in config.json is multi-label, and ${why}` };
  }
  if (facts.width > 1) return { applied: 'softmax', multiLabel: false, why };
  return { applied: 'sigmoid', multiLabel: !isBinary(facts), why: `${why}, one value` };
}

/** Of the rows that a model gave. */
interface Measured {
  low: number;
  high: number;
  /** Smallest and largest sum of a row. */
  sums: [number, number];
  /** In every row the exponentials of the negated values sum to 1. */
  areNegatedLogs: boolean;
}

function measure(rows: Float32Array, width: number): Measured {
  const measured: Measured = { low: Infinity, high: -Infinity, sums: [Infinity, -Infinity], areNegatedLogs: width > 1 };
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    if (row.some(Number.isNaN)) continue;
    for (const value of row) {
      measured.low = Math.min(measured.low, value);
      measured.high = Math.max(measured.high, value);
    }
    const sum = row.reduce((a, b) => a + b, 0);
    const negated = row.reduce((total, value) => total + Math.exp(-value), 0);
    measured.areNegatedLogs &&= Math.abs(negated - 1) <= EXACTLY_ONE;
    measured.sums = [Math.min(measured.sums[0], sum), Math.max(measured.sums[1], sum)];
  }
  return measured;
}

/** A value below 0 makes a row neither probabilities nor multiples of them: no further image changes that. */
function isSettled({ low }: Measured): boolean {
  return low < -TINY && low > -Infinity;
}

function together(all: readonly Measured[]): Measured {
  return {
    low: Math.min(...all.map(({ low }) => low)),
    high: Math.max(...all.map(({ high }) => high)),
    sums: [Math.min(...all.map(({ sums }) => sums[0])), Math.max(...all.map(({ sums }) => sums[1]))],
    areNegatedLogs: all.every(({ areNegatedLogs }) => areNegatedLogs),
  };
}

function areProbabilities({ low, high }: Measured): boolean {
  return low >= -TINY && high <= 1 + 1e-3;
}

function sumTo(sum: number, { sums: [least, most] }: Measured, tolerance: number): boolean {
  return Math.abs(least - sum) <= tolerance * sum && Math.abs(most - sum) <= tolerance * sum;
}

/** Softmax along another axis than the classes', or logits that sum to 1 as only probabilities do. */
function contradicts({ kind, scaled }: Ending, found: Measured): boolean {
  if (scaled) return false;
  if (kind === 'softmax') return found.sums[1] > 1.5;
  return kind === 'logits' && areProbabilities(found) && sumTo(1, found, EXACTLY_ONE);
}

function byNumbers(facts: OutputFacts, found: Measured, images: number): Activation {
  const { ending, width } = facts;
  if (found.areNegatedLogs && found.low < Infinity) {
    throw new UserError(
      'the output holds negated logarithms of probabilities, the largest for the least probable class; ' +
        'export the model without its last negation',
    );
  }
  const shown = (value: number) => Number(value.toPrecision(3));
  const range = `in ${images} trial image${images > 1 ? 's' : ''} values are ${shown(found.low)} to ${shown(found.high)}`;
  const sums = `rows sum to ${found.sums.map(shown).join(' to ')}`;
  if (ending?.kind === 'logits' && !(width > 1 && sumTo(1, found, EXACTLY_ONE))) {
    return ofLogits(facts, `the graph ends with ${ending.op}: logits`);
  }
  const areWithin01 = areProbabilities(found);
  if (areWithin01 && width > 1 && sumTo(1, found, NEAR_ONE)) {
    return { applied: 'none', multiLabel: false, why: `${range} and ${sums}: probabilities already` };
  }
  const areTold = ending?.kind === 'softmax' || ending?.kind === 'sigmoid' || facts.problem === 'multi_label';
  if (areWithin01 && (areTold || width === 1)) {
    return { applied: 'none', multiLabel: !isBinary(facts), why: `${range} and ${sums}: probabilities already` };
  }
  if (ending?.kind === 'logSoftmax') return { applied: 'exp', multiLabel: false, why: `${ending.op} in the graph` };
  if (found.low >= 0 && width > 1 && sumTo(found.sums[0], found, ALIKE)) {
    return { applied: 'normalize', multiLabel: false, why: `${range} and all ${sums}: probabilities times that` };
  }
  if (!areWithin01) return ofLogits(facts, `${range}: logits`);
  const doubt =
    'logits, or probabilities for each label alone; taken for logits: output.activation in config.json decides';
  return ofLogits(facts, `${range} and ${sums}, which may be ${doubt}`);
}
