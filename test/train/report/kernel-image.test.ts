import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { coloursOf, kernelImage } from '../../../train/report/kernel-image.js';

const SIZE = 2;

/** HWIO [2, 2, 3, channels]; `weight` by row, column, colour and kernel. */
function kernelsOf(channels: number, weight: (y: number, x: number, c: number, k: number) => number) {
  const values = new Float32Array(SIZE * SIZE * 3 * channels);
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++)
      for (let c = 0; c < 3; c++)
        for (let k = 0; k < channels; k++) values[((y * SIZE + x) * 3 + c) * channels + k] = weight(y, x, c, k);
  return { values, size: SIZE, channels };
}

test('scales each kernel to its own largest weight, 0 being the middle grey', () => {
  const table = [
    [0.04, 0, -0.02], // y 0, x 0: red, green, blue
    [0.01, 0.02, 0.03],
    [-0.04, 0, 0],
    [0, 0, 0],
  ];
  const kernels = kernelsOf(3, (y, x, c, k) => [table[2 * y + x][c], -100 * table[2 * y + x][c], 0][k]);
  // 127.5 · (1 + weight / 0.04)
  assert.deepEqual([...coloursOf(kernels, 0)], [255, 128, 64, 159, 191, 223, 0, 128, 128, 128, 128, 128]);
  assert.deepEqual([...coloursOf(kernels, 1)], [0, 128, 191, 96, 64, 32, 255, 128, 128, 128, 128, 128]);
  assert.deepEqual([...coloursOf(kernels, 2)], new Array(12).fill(128), 'a kernel of zeros is grey');
});

test('lays sixteen kernels in a row, enlarged without smoothing, with transparent gaps', async () => {
  // Kernel k is red where it is numbered above 3, else blue, in its top left corner only.
  const kernels = kernelsOf(40, (y, x, c, k) => (y + x === 0 && c === (k > 3 ? 0 : 2) ? 1 : 0));
  const { png, width, height } = await kernelImage(kernels, 3, 18); // kernels 3 … 20: a row and two more
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [width, height, 4]);
  const [side, gap] = [56, 4]; // 2 weights of 28 pixels, about 55 in all
  assert.deepEqual([width, height], [16 * (side + gap) - gap, 2 * (side + gap) - gap]);
  const pixel = (x: number, y: number) => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)];
  assert.deepEqual(pixel(0, 0), [128, 128, 255, 255], 'kernel 3');
  assert.deepEqual(pixel(27, 27), [128, 128, 255, 255]);
  assert.deepEqual(pixel(28, 27), [128, 128, 128, 255]);
  assert.deepEqual(pixel(57, 0), [0, 0, 0, 0], 'between kernels 3 and 4');
  assert.deepEqual(pixel(60, 0), [255, 128, 128, 255], 'kernel 4');
  assert.deepEqual(pixel(60, 60), [255, 128, 128, 255], 'kernel 20, the second of the second row');
  assert.deepEqual(pixel(120, 60), [0, 0, 0, 0], 'after the last');
});
