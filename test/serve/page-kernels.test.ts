/** Whether kernels look like noise, as the page decides it; its own code is bundled, as in the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { random } from '../../base/random.js';

const source = fileURLToPath(new URL('../../../serve/page/inside/noise.ts', import.meta.url));
const { outputFiles } = await build({ entryPoints: [source], bundle: true, write: false, format: 'esm' });
const { looksLikeNoise } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

const SIDES = [5, 7, 11];
const ANGLES = [0, 15, 30, 45, 60, 90, 120, 165];
const COLOURS = { grey: [1, 1, 1], coloured: [1, -0.5, 0.2] };

/** A grating that fades to the edges, [3, side, side]. */
function gabor(side: number, period: number, degrees: number, colour: number[]): Float32Array {
  const angle = (degrees * Math.PI) / 180;
  return Float32Array.from({ length: 3 * side * side }, (_, i) => {
    const [x, y] = [(i % side) - side / 2 + 0.5, (Math.floor(i / side) % side) - side / 2 + 0.5];
    const along = x * Math.cos(angle) + y * Math.sin(angle);
    const fade = Math.exp(-(x * x + y * y) / (side * side * 0.125));
    return colour[Math.floor(i / side ** 2)] * fade * Math.cos((2 * Math.PI * along) / period);
  });
}

test('gratings of 2 pixels and more do not look like noise, at any angle', () => {
  for (const side of SIDES)
    for (const period of [2, 2.5, 3, 6])
      for (const degrees of ANGLES)
        for (const [name, colour] of Object.entries(COLOURS)) {
          const what = `${name}, ${side} pixels, period ${period}, ${degrees}°`;
          assert.equal(looksLikeNoise(gabor(side, period, degrees, colour), [side, side]), false, what);
        }
});

test('numbers drawn at random look like noise, and one colour does not', () => {
  for (const side of SIDES) {
    const stream = random('kernels', side);
    const drawn = Array.from({ length: 200 }, () =>
      looksLikeNoise(
        Float32Array.from({ length: 3 * side * side }, () => 0.01 * stream.normal()),
        [side, side],
      ),
    );
    assert.ok(drawn.filter((noise) => noise).length >= 196, `${side} pixels`);
    assert.equal(looksLikeNoise(new Float32Array(3 * side * side).fill(0.1), [side, side]), false);
  }
});
