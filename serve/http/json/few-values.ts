/** Refuses JSON that unfolds: `{},` is 3 bytes to send and a hundred to hold, and the parser knows no limit. */
import { RequestError } from '../../errors.js';

/**
 * Bytes that a value takes once parsed, within a factor of two, by the character that tells of it: elements, texts,
 * arrays, objects, fields.
 */
const COSTS = new Uint16Array(256);
for (const [character, bytes] of Object.entries({ ',': 16, '"': 16, '[': 64, '{': 128, ':': 1024 }))
  COSTS[character.charCodeAt(0)] = bytes;

/** Times the size of the largest body that its values may take: numbers of one digit take 8, floats 1 to 2. */
export const UNFOLDING = 8;

/** @throws {RequestError} JSON_TOO_LARGE before anything is parsed */
export function requireFewValues(json: Uint8Array, maxBytes: number): void {
  let bytes = 0;
  for (let i = 0; i < json.length; i++) bytes += COSTS[json[i]];
  if (bytes <= maxBytes) return;
  const [took, allowed] = [bytes, maxBytes].map((size) => `${Math.ceil(size / 1e6)} MB`);
  throw new RequestError(
    'JSON_TOO_LARGE',
    `the JSON would take ${took} of memory, ${allowed} are allowed; send fewer values, or tensors as binary data`,
  );
}
