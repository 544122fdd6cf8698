/**
 * When a run is over before its last epoch. Told from the checkpoint's state alone, so a resumed run ends at the same
 * epoch.
 */
import type { RunState } from './run/checkpoint.js';
import type { Settings } from './settings/config.js';

/** @returns why it is over, for people; undefined if it continues */
export function endedEarly(
  { earlyStop }: Partial<Pick<Settings, 'earlyStop'>>,
  { epoch, schedule, bestValidation }: Pick<RunState, 'epoch' | 'schedule' | 'bestValidation'>,
): string | undefined {
  if (schedule.ended)
    return 'plateau has divided the learning rate three times and the validation error no longer improves';
  const improvedAt = bestValidation?.since ?? bestValidation?.epoch ?? epoch;
  const waited = epoch - Math.max(improvedAt, schedule.waitingSince ?? 0);
  if (!earlyStop || waited < earlyStop) return undefined;
  return `the validation error has not improved for ${waited} epochs (--early-stop ${earlyStop})`;
}
