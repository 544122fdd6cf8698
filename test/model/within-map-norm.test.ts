import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import { WithinMapNorm, withinMapNorm } from '../../model/within-map-norm.js';
import { assertClose, at, noise } from './close.js';

function slowNorm(x: Float32Array, shape: number[], size: number, scale: number, pow: number): number[] {
  const [batch, height, width, channels] = shape;
  const reach = (size - 1) / 2;
  const y: number[] = [];
  for (let p = 0; p < batch; p++)
    for (let r = 0; r < height; r++)
      for (let c = 0; c < width; c++)
        for (let i = 0; i < channels; i++) {
          let sum = 0;
          for (let dr = -reach; dr <= reach; dr++)
            for (let dc = -reach; dc <= reach; dc++) {
              const inside = r + dr >= 0 && r + dr < height && c + dc >= 0 && c + dc < width;
              if (inside) sum += x[at(shape, p, r + dr, c + dc, i)] ** 2;
            }
          y.push(x[at(shape, p, r, c, i)] / (1 + (scale / size ** 2) * sum) ** pow);
        }
  return y;
}

test('divides the sum by the whole window at the border too', () => {
  // One pixel of 3: s = 1 + 9 / 9 · 3² = 10; the eight neighbours outside count as 0, not as absent.
  const y = withinMapNorm(tf.tensor4d([3], [1, 1, 1, 1]), 3, 9, 0.75);
  assertClose(y.dataSync(), [3 / 10 ** 0.75], 1e-6);
});

for (const pow of [0.75, 0.5]) {
  test(`normalises each map by its neighbourhood with power ${pow}`, () => {
    const shape = [2, 4, 5, 3] as [number, number, number, number];
    const x = noise<tf.Rank.R4>('within-map', shape);
    const y = new WithinMapNorm({ size: 3, scale: 2.5, pow }).apply(x) as tf.Tensor;
    // float32 sums of 9 squares and a power: a few units in the last of 7 digits
    assertClose(y.dataSync(), slowNorm(x.dataSync() as Float32Array, shape, 3, 2.5, pow), 2e-6);
  });
}
