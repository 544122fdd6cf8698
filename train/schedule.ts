/**
 * Learning-rate schedules. The paper (Krizhevsky et al. 2012, §5): divide by 10 when the validation error stops
 * improving, "reduced three times prior to termination": `plateau`. All are functions of settings, step and a small
 * state that the checkpoint keeps.
 */
import type { Settings } from './settings/config.js';

/** How often `plateau` divides the rate before it ends the run. */
const REDUCTIONS = 3;

/** JSON-serialisable. */
export interface ScheduleState {
  /** Lowest validation error so far, a fraction; null before the first epoch. */
  best: number | null;
  epochsSinceBest: number;
  reductions: number;
  /** True when the run is over before its last epoch. */
  ended: boolean;
  /** Epoch from which a run waits for a better error, if settings changed since; absent if none did. */
  waitingSince?: number;
}

export type ScheduleSettings = Pick<
  Settings,
  'schedule' | 'learningRate' | 'epochs' | 'milestones' | 'patience' | 'warmupEpochs'
>;

export function startSchedule(): ScheduleState {
  return { best: null, epochsSinceBest: 0, reductions: 0, ended: false };
}

/**
 * Learning rate of one step.
 * @param step  from 0, over the whole run as if every epoch had `stepsPerEpoch` steps
 */
export function learningRateAt(
  settings: ScheduleSettings,
  state: ScheduleState,
  step: number,
  stepsPerEpoch: number,
): number {
  const warmupSteps = settings.warmupEpochs * stepsPerEpoch;
  if (step < warmupSteps) return (settings.learningRate * (step + 1)) / warmupSteps;
  switch (settings.schedule) {
    case 'constant':
      return settings.learningRate;
    case 'step': {
      const epoch = Math.floor(step / stepsPerEpoch);
      return settings.learningRate / 10 ** settings.milestones.filter((milestone) => milestone <= epoch).length;
    }
    case 'plateau':
      return settings.learningRate / 10 ** state.reductions;
    case 'cosine': {
      const progress = (step - warmupSteps) / (settings.epochs * stepsPerEpoch - warmupSteps);
      return (settings.learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
    }
  }
}

/** The state after an epoch that ended with this validation error (top-1, a fraction). */
export function afterEpoch(settings: ScheduleSettings, state: ScheduleState, error: number): ScheduleState {
  if (state.best === null || error < state.best) return { ...state, best: error, epochsSinceBest: 0 };
  const waited = { ...state, epochsSinceBest: state.epochsSinceBest + 1 };
  if (settings.schedule !== 'plateau' || waited.epochsSinceBest < settings.patience) return waited;
  if (state.reductions === REDUCTIONS) return { ...waited, ended: true };
  return { ...waited, epochsSinceBest: 0, reductions: state.reductions + 1 };
}
