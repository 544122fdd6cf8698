/** Photographs of ../shared/data/imagenet-samples.tar (or ALEXNET_DATA), as they are in the file. */
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { extract } from 'tar-stream';

const DATA = process.env.ALEXNET_DATA ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url));
export const IMAGES = join(DATA, 'imagenet-samples.tar');

export async function photographs(): Promise<Buffer[]> {
  const images: Buffer[] = [];
  for await (const entry of createReadStream(IMAGES).pipe(extract())) {
    if (/\.jpe?g$/i.test(entry.header.name)) images.push(await buffer(entry));
    else entry.resume();
  }
  return images;
}

const CLASSES = 10;
const COPIES = 5;

/** Writes all of them, several times over, as images to train on. @returns how many */
export async function photographFolder(folder: string): Promise<number> {
  const all = await photographs();
  all.forEach((bytes, i) => {
    const place = join(folder, 'train', `class ${i % CLASSES}`);
    mkdirSync(place, { recursive: true });
    for (let copy = 0; copy < COPIES; copy++) writeFileSync(join(place, `${i}-${copy}.jpg`), bytes);
  });
  return all.length * COPIES;
}
