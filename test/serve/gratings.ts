/** A first layer whose kernels have directions, described by a config.json. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { floats, node, writeColourModel } from './colour-model.js';

/**
 * Six gratings of 5 × 5 × 3 without a bias, moved by 1 down and 2 across, after (x / 255 − mean) / std; 12 × 12 pixels.
 * @param own  a folder that is made
 */
export async function writeGratings(own: string): Promise<{ model: string; kernels: number[] }> {
  await mkdir(own);
  const kernels = Array.from({ length: 6 * 75 }, (_, i) => {
    const [kernel, y, x] = [Math.floor(i / 75), Math.floor(i / 5) % 5, i % 5];
    return (Math.floor((i % 75) / 25) - 1) * Math.cos(2 * (x * Math.cos(kernel) + y * Math.sin(kernel)));
  });
  const size = { width: 12, height: 12 };
  const model = writeColourModel(join(own, 'model.onnx'), {
    size,
    width: 6,
    stored: [floats('kernels', kernels, [6, 3, 5, 5])],
    nodes: [
      node('Conv', ['x', 'kernels'], 'gratings', { strides: [1, 2] }),
      node('ReduceMean', 'gratings', 'y', { axes: [2, 3], keepdims: 0 }),
    ],
  });
  const input = { resize: size, scale: 1 / 255, mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2] };
  await writeFile(join(own, 'config.json'), JSON.stringify({ labels: ['a', 'b', 'c', 'd', 'e', 'f'], input }));
  return { model, kernels };
}
