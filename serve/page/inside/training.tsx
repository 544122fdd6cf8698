/** Whether kernels have learnt anything: what is learnt is smooth, what was drawn at random is not. */
import type { Tensor } from '../server/safetensors.js';
import { mapsOf } from './statistics.js';

/** Correlation of neighbouring numbers; that of random ones is 0. */
const SMOOTH = 0.25;

export function Training({ kernels }: { kernels: Tensor }) {
  const [number, channels, , width] = kernels.shape;
  if (width < 3) return null;
  const planes = mapsOf({ shape: [number * channels], values: kernels.values });
  const rough = Array.from({ length: number }, (_, i) => {
    const own = planes.slice(i * channels, (i + 1) * channels).map((plane) => smoothness(plane, width));
    return own.reduce((sum, one) => sum + one, 0) / channels;
  }).filter((mean) => mean < SMOOTH).length;
  if (rough === 0) return <p>All {number} are smooth: each has learnt something to look for.</p>;
  return (
    <p>
      {rough === number ? `All ${number}` : `${rough} of ${number}`} look like noise: they have barely changed since
      they were drawn at random. Longer training, or more images, would smooth them.
    </p>
  );
}

/** Of a plane's values with those to the right and below. */
function smoothness(plane: Float32Array, width: number): number {
  const mean = plane.reduce((sum, value) => sum + value, 0) / plane.length;
  const off = (i: number) => plane[i] - mean;
  let [products, pairs, squares] = [0, 0, 0];
  for (let i = 0; i < plane.length; i++) {
    squares += off(i) ** 2;
    for (const next of [(i + 1) % width === 0 ? plane.length : i + 1, i + width]) {
      if (next >= plane.length) continue;
      products += off(i) * off(next);
      pairs++;
    }
  }
  return squares === 0 ? 0 : products / pairs / (squares / plane.length);
}
