/** Photographs of ../shared/data/imagenet-samples.tar (or ALEXNET_DATA), as they are in the file. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { extract } from 'tar-stream';

const DATA = process.env.ALEXNET_DATA ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url));
export const PICTURES = join(DATA, 'imagenet-samples.tar');

export async function photographs(): Promise<Buffer[]> {
  const pictures: Buffer[] = [];
  for await (const entry of createReadStream(PICTURES).pipe(extract())) {
    if (/\.jpe?g$/i.test(entry.header.name)) pictures.push(await buffer(entry));
    else entry.resume();
  }
  return pictures;
}
