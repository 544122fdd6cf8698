/** The JSON of `POST /classify/batch`. Read off the server's own thread where it is large, so without Express. */
import { z } from 'zod';
import { parseJson } from '../body.js';
import { type BatchImage, tooMany } from '../form.js';
import { bytesOfBase64 } from '../json/base64.js';
import { parseBody } from '../parse-body.js';

const List = z.array(z.string()).min(1).meta({ description: 'The images in base64' });
const Named = z.strictObject({ images: List });
export const BatchBody = z.union([List, Named]).meta({ id: 'BatchRequest' });

/** @throws {RequestError} BAD_REQUEST, BATCH_TOO_LARGE */
export function imagesOfJson(body: Buffer, max: number): BatchImage[] {
  const parsed = parseJson(body, 'a form with a field "image" for each image, or a JSON list of them in base64');
  const list = Array.isArray(parsed) ? parsed : (parsed as { images?: unknown } | null)?.images;
  if (Array.isArray(list) && list.length > max) throw tooMany(max, list.length);
  const { images } = parseBody(Named, Array.isArray(parsed) ? { images: parsed } : parsed);
  return images.map((text) => ({ bytes: bytesOfBase64(text) }));
}
