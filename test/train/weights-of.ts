import type * as tfl from '@tensorflow/tfjs-layers';
import { modelWeights } from '../../train/run/weights.js';

/** A model's weights, by name. */
export function weightsOf(model: tfl.LayersModel): Map<string, Float32Array> {
  return new Map(modelWeights(model, 'all').map(({ name, variable }) => [name, variable.dataSync() as Float32Array]));
}
