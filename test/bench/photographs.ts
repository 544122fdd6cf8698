/** Photographs of ../shared/data/imagenet-samples.tar (or ALEXNET_DATA), as they are in the file. */
import { createReadStream } from 'node:fs';
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
