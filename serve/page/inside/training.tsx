/** Whether kernels seem to have learnt anything: what is learnt has a pattern, what was drawn at random has none. */
import { useMemo } from 'preact/hooks';
import type { Tensor } from '../server/safetensors.js';
import { looksLikeNoise } from './noise.js';
import { mapsOf } from './statistics.js';

/** Height and width of kernels that are large enough to tell. */
const LEAST = 5;

/** Of the layer as a whole: single kernels may look like noise in any network. */
export function Training({ kernels }: { kernels: Tensor }) {
  const [number, , height, width] = kernels.shape;
  const noisy = useMemo(
    () => mapsOf(kernels).filter((kernel) => looksLikeNoise(kernel, [height, width])).length,
    [kernels],
  );
  if (Math.min(height, width) < LEAST) return null;
  if (noisy === 0) return <p>None looks like noise: each seems to have learnt something to look for.</p>;
  if (2 * noisy <= number) return null;
  const [looks, they, were] = noisy === 1 ? ['looks', 'it', 'it was'] : ['look', 'they', 'they were'];
  return (
    <p>
      {noisy} of {number} kernel{number > 1 && 's'} {looks} like noise: {they} may have barely changed since {were}{' '}
      drawn at random. Longer training, or more images, may help.
    </p>
  );
}
