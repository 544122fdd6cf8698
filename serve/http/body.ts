/** The picture in a request: the whole body, or a field of a multipart form. Nothing is inflated, every size is bounded. */
import type { IncomingMessage } from 'node:http';
import { RequestError } from '../errors.js';
import { imageOfForm } from './form.js';

/** Room for a form's boundaries, part headers and other fields, bytes. */
const FORM_OVERHEAD = 65_536;

/**
 * @param maxBytes  size of the picture allowed
 * @param fields    names of the form's field that may hold it
 * @throws {RequestError} IMAGE_TOO_LARGE, UNSUPPORTED_ENCODING, BAD_FORM, IMAGE_FIELD_MISSING; BAD_REQUEST when the client is gone
 */
export async function readPicture(
  request: IncomingMessage,
  maxBytes: number,
  fields: readonly string[] = ['image'],
): Promise<Buffer> {
  requireNoEncoding(request);
  const type = request.headers['content-type'] ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) return readBody(request, maxBytes, maxBytes);
  const image = imageOfForm(await readBody(request, maxBytes + FORM_OVERHEAD, maxBytes), type, fields);
  if (image.length > maxBytes) throw tooLarge(maxBytes);
  return image;
}

/** Room for what stands around pictures in JSON, bytes. */
const JSON_OVERHEAD = 4096;

/**
 * A body with pictures in base64, or tensors, in or after JSON.
 * @param maxBytes  size of a picture allowed
 * @throws {RequestError} IMAGE_TOO_LARGE, UNSUPPORTED_ENCODING, BAD_REQUEST
 */
export async function readJsonSized(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  requireNoEncoding(request);
  return readBody(request, Math.ceil((maxBytes * 4) / 3) + JSON_OVERHEAD, maxBytes);
}

/**
 * A JSON body, parsed.
 * @param maxBytes  size of a picture in it allowed
 * @param empty     what an empty body stands for; without it that is an error
 * @throws {RequestError} IMAGE_TOO_LARGE, UNSUPPORTED_ENCODING, BAD_REQUEST
 */
export async function readJson(request: IncomingMessage, maxBytes: number, empty?: unknown): Promise<unknown> {
  const body = await readJsonSized(request, maxBytes);
  if (body.length === 0 && empty !== undefined) return empty;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new RequestError('BAD_REQUEST', 'the body is not JSON');
  }
}

function requireNoEncoding({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') throw new RequestError('UNSUPPORTED_ENCODING');
}

/** Over the limit it answers at once; Node discards what else the client sends. */
async function readBody(request: IncomingMessage, limit: number, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) return chunks.push(chunk);
      chunks.length = 0;
      return reject(tooLarge(maxBytes));
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    const brokenOff = () => reject(new RequestError('BAD_REQUEST', 'the body broke off'));
    request.on('error', brokenOff);
    request.on('close', brokenOff);
  });
}

function tooLarge(maxBytes: number): RequestError {
  return new RequestError('IMAGE_TOO_LARGE', `the picture has more than ${maxBytes} bytes; send a smaller one`);
}
