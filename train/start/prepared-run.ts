import type * as tfl from '@tensorflow/tfjs-layers';
import type { Dataset } from '../data/dataset.js';
import type { LoadedCheckpoint } from '../run/load-checkpoint.js';
import type { Run } from '../run/run-folder.js';
import type { Changes } from '../settings/changed-settings.js';

/** A run with all that its next step needs: new, gone on with, or received from the process that has its folder. */
export interface PreparedRun<R = Run> {
  run: R;
  dataset: Dataset;
  /** With initial weights, or those of `from`; the caller disposes it. */
  model: tfl.LayersModel;
  /** The checkpoint to continue from; absent if the run has none yet. */
  from?: Pick<LoadedCheckpoint, 'state' | 'readVelocities'>;
  /** Settings that are others from now on; absent where there are none. */
  changes?: Changes;
}
