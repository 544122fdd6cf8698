/**
 * What processes that train together send each other besides gradients: values of rank 0, and the errors each found.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Evaluation } from '../evaluate/evaluate.js';
import { restoreValues } from '../run/checkpoint.js';
import { modelWeights, type NamedVariable } from '../run/weights.js';
import { bytesOf, type Communicator, sumNumbers } from './communicator.js';

/**
 * Rank 0's weights and velocities in all processes: what kernels of different processors rounded differently ends here.
 */
export async function broadcastValues(
  group: Communicator,
  model: tfl.LayersModel,
  velocities: readonly NamedVariable[],
): Promise<void> {
  if (group.size === 1) return;
  for (const { name, variable } of [...modelWeights(model, 'all'), ...velocities]) {
    const values = (await variable.data<'float32'>()).slice();
    await group.broadcast(bytesOf(values));
    if (group.rank > 0) restoreValues([{ name, variable }], new Map([[name, values]]));
  }
}

/** The errors over the images of all processes. */
export async function evaluationOfAll(group: Communicator, own: Evaluation): Promise<Evaluation> {
  if (group.size === 1) return own;
  const { images } = own;
  const sums = images > 0 ? [own.loss, own.top1Error, own.top5Error].map((mean) => mean * images) : [0, 0, 0];
  const [all, loss, top1, top5] = await sumNumbers(group, [images, ...sums]);
  // Errors are counts of images: whole numbers, whatever the division left.
  return { images: all, loss: loss / all, top1Error: Math.round(top1) / all, top5Error: Math.round(top5) / all };
}
