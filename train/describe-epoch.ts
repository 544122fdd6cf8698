/** An epoch's end in a line of columns, under 100 characters. */
import { hasTop5, percent } from '../base/format.js';
import type { Evaluation } from './evaluate/evaluate.js';
import type { RunState } from './run/checkpoint.js';

export interface EpochEnd {
  /** After the epoch. */
  state: RunState;
  validation: Omit<Evaluation, 'images'>;
  epochs: number;
  classes: number;
  /** Of its last step. */
  learningRate: number;
  /** No epoch before had as low a validation error. */
  improved: boolean;
}

export function describeEpoch({ state, validation, epochs, classes, learningRate, improved }: EpochEnd): string {
  const { loss, top1Error, top5Error } = validation;
  const errors = (fraction: number) => percent(fraction, 1).padStart(7);
  return [
    `epoch ${String(state.epoch).padStart(String(epochs).length)}/${epochs}`,
    `loss ${state.trainLoss!.toFixed(4)}`,
    `error${errors(state.trainTop1Error!)}`,
    `val loss ${loss.toFixed(4)}`,
    `top-1${errors(top1Error)}`,
    ...(hasTop5(classes) ? [`top-5${errors(top5Error)}`] : []),
    `rate ${learningRate.toPrecision(3)}`,
    ...(improved ? ['best'] : []),
  ].join('  ');
}
