import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** Of the file, hex. */
export const sha256Of = (file: string): Promise<string> => digestOf(file, 'sha256');

/** Of the file, hex; SHA-1 only where a publisher gives no other. */
export async function digestOf(file: string, algorithm: 'sha256' | 'sha1'): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
