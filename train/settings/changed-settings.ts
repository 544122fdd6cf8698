/**
 * A run that is resumed under other settings: what differs, whether that may be, and how the state of the checkpoint is
 * to be read then. Refused unless forced, because the later weights belong to neither; only another number of epochs
 * needs no force.
 */
import { UserError } from '../../base/errors.js';
import type { RunState } from '../run/checkpoint.js';
import { checkSettings, DEFAULTS, type Settings, type TrainConfig } from './config.js';

/** What differs, by the name of the setting. */
export type Changes = Record<string, { from: unknown; to: unknown }>;

/** An entry of the history in `config.json`: changes from the checkpoint of this step and epoch on. */
export interface HistoryEntry {
  step: number;
  epoch: number;
  /** ISO 8601. */
  time: string;
  changes: Changes;
}

/** What the weights, or the figures so far, belong to. */
const FIXED = ['model', 'from', 'recipe', 'lrn', 'seed', 'valFraction', 'splitSeed'];
/** Whoever sets one of these means the rates from now on: reductions made so far no longer count. */
const OF_THE_RATE = ['learningRate', 'schedule'];
/** With another of these the steps of an epoch are others. */
const OF_THE_EPOCH = ['batch', 'data', 'pictures', 'pictureNames'];
/** With another of these the wait for a better validation error starts again. */
const OF_THE_WAITING = [...OF_THE_RATE, 'patience', 'validationPictures'];

/** @param wanted  what the flags of the resuming command say; absent: as stored */
export function changesOf(stored: TrainConfig, wanted: Partial<TrainConfig>): Changes {
  // A run of an earlier version lacks what was not yet a setting: it had the default.
  const before = (key: string) => stored[key as keyof TrainConfig] ?? DEFAULTS[key as keyof Settings];
  const changes = Object.entries(wanted)
    .filter(([key, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(before(key)))
    .map(([key, to]) => [key, { from: before(key), to }]);
  return Object.fromEntries(changes);
}

/**
 * @param force  continue under settings that may change
 * @throws {UserError} naming every setting that differs
 */
export function checkChanges(runPath: string, { schedule }: TrainConfig, changes: Changes, force: boolean): void {
  const fixed = Object.keys(changes).filter((key) => FIXED.includes(key));
  const refused = force ? fixed : Object.keys(changes).filter((key) => key !== 'epochs' || schedule === 'cosine');
  if (refused.length === 0) return;
  const differences = refused.map((key) => `${key} was ${toText(changes[key].from)}, now ${toText(changes[key].to)}`);
  const advice = fixed.length > 0 ? '' : ' add --force to continue under the new ones,';
  throw new UserError(
    `${runPath}: cannot resume with other settings${force ? ', even with --force' : ''}: ${differences.join('; ')}. ` +
      `Leave those flags out to continue as before,${advice} or start a new run with another --out`,
  );
}

/** @throws {UsageError} when the settings contradict each other then */
export function changedConfig(config: TrainConfig, changes: Changes): TrainConfig {
  const changed = { ...config, ...Object.fromEntries(Object.entries(changes).map(([key, { to }]) => [key, to])) };
  checkSettings(changed);
  return changed;
}

/** For people, one line a change. */
export function describeChanges(changes: Changes): string {
  return Object.entries(changes)
    .map(([key, { from, to }]) => `changed: ${key} was ${toText(from)}, now ${toText(to)}`)
    .join('\n');
}

/**
 * The state of a checkpoint as the resumed run takes it, after changes that came when it was saved or later. If the
 * rate or the schedule changed, the schedule restarts; if the batch or the data did, the epoch under way; errors on
 * other validation images no longer count, nor losses before any change.
 */
export function afterChanges(state: RunState, history: readonly HistoryEntry[] = []): RunState {
  const later = history.filter(({ step, epoch }) => step > state.step || (step === state.step && epoch >= state.epoch));
  const changed = new Set(later.flatMap(({ changes }) => Object.keys(changes)));
  const anyOf = (keys: string[]) => keys.some((key) => changed.has(key));
  return {
    ...state,
    ...(later.length > 0 && { recentLosses: [] }),
    ...(anyOf(OF_THE_EPOCH) && { position: 0, lossSum: 0, rightSum: 0 }),
    ...(changed.has('validationPictures') && { bestValidation: null }),
    ...(anyOf(OF_THE_WAITING) && {
      schedule: {
        best: changed.has('validationPictures') ? null : state.schedule.best,
        epochsSinceBest: 0,
        reductions: anyOf(OF_THE_RATE) ? 0 : state.schedule.reductions,
        ended: false,
        waitingSince: state.epoch,
      },
    }),
  };
}

function toText(value: unknown): string {
  return JSON.stringify(value) ?? 'none';
}
