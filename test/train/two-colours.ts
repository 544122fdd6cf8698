/** A small data set, and what experiments on it leave, for tests of `alexnet reproduce`. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { random } from '../../base/random.js';

/**
 * Noise, reddish or bluish: two classes that a network tells apart within an epoch or two. Writes it to `folder`/data.
 */
export async function writeTwoColours(folder: string): Promise<void> {
  for (const [split, count] of [
    ['train', 40],
    ['val', 6],
  ] as const) {
    for (const [name, channel] of [
      ['cat', 0],
      ['dog', 2],
    ] as const) {
      await mkdir(join(folder, 'data', split, name), { recursive: true });
      for (let i = 0; i < count; i++) {
        const stream = random(split, name, i);
        const pixels = Uint8Array.from(
          { length: 32 * 32 * 3 },
          (_, k) => stream.integer(100) + (k % 3 === channel ? 120 : 0),
        );
        await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
          .png()
          .toFile(join(folder, 'data', split, name, `${i}.png`));
      }
    }
  }
}

export interface Row {
  variant: string;
  model: string;
  epochs: number;
  trainError: number;
  testError: number;
  epochsToTarget?: number | null;
  curve: { epoch: number; trainError: number; testError: number }[];
}

export const words = (folder: string, name: string, out: string, ...more: string[]): string[] => [
  ...['reproduce', name, '--data', join(folder, 'data'), '--out', out, '--backend', 'onnxruntime'],
  ...more,
];

export async function epochLines(run: string) {
  const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line)).filter((line) => 'val_top1_error' in line);
}
