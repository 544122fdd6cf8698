/**
 * The image in a request: the whole body, or a field of a multipart form. Every size is bounded.
 */
import type { Request } from 'express';
import { READ_FORMATS } from '../../base/image/formats.js';
import { RequestError } from '../errors.js';
import { imageOfForm } from './form.js';
import type { Uploads } from './uploads.js';

export interface BodyDeps {
  /** Size of an encoded image allowed. */
  maxBytes: number;
  uploads: Uploads;
}

/** Room for a form's boundaries, part headers and other fields, bytes. */
const FORM_OVERHEAD = 65_536;

/**
 * @param fields  names of the form's field that may hold it
 * @throws {RequestError} EMPTY_BODY, IMAGE_TOO_LARGE, BAD_FORM, IMAGE_FIELD_MISSING, or as `Uploads.read`
 */
export async function readImage(
  request: Request,
  { maxBytes, uploads }: BodyDeps,
  fields: readonly string[] = ['image'],
): Promise<Buffer> {
  const type = request.headers['content-type'] ?? '';
  const refuse = () => tooLarge(maxBytes);
  if (!/^multipart\/form-data\b/i.test(type)) {
    const body = await uploads.read(request, maxBytes, refuse);
    if (body.length > 0) return body;
    throw new RequestError('EMPTY_BODY', `the body is empty; send the bytes of a ${READ_FORMATS} image`);
  }
  const image = imageOfForm(await uploads.read(request, maxBytes + FORM_OVERHEAD, refuse), type, fields);
  if (image.length > maxBytes) throw refuse();
  return image;
}

/** Room for what stands around images in JSON, bytes. */
const JSON_OVERHEAD = 4096;
/** Base64 in lines of 76 characters, each with an escaped line break. */
const WRAPPED = 80 / 76;

function jsonLimit(maxBytes: number): number {
  return Math.ceil(((maxBytes * 4) / 3) * WRAPPED) + JSON_OVERHEAD;
}

/** Size of the largest body that is read where images of `maxBytes` are allowed. */
export function largestBody(maxBytes: number): number {
  return Math.max(jsonLimit(maxBytes), maxBytes + FORM_OVERHEAD);
}

/**
 * A body with images in base64, or tensors, in or after JSON.
 * @throws {RequestError} IMAGE_TOO_LARGE, or as `Uploads.read`
 */
export async function readJsonSized(request: Request, { maxBytes, uploads }: BodyDeps): Promise<Buffer> {
  return uploads.read(request, jsonLimit(maxBytes), () => tooLarge(maxBytes));
}

/** Of bodies that ask for no image, bytes. */
const SMALL_BODY = 65_536;

/**
 * A small JSON body, parsed; an empty one stands for `{}`.
 * @throws {RequestError} BAD_REQUEST, or as `Uploads.read`
 */
export async function readSmallJson(request: Request, { uploads }: BodyDeps): Promise<unknown> {
  const body = await uploads.read(request, SMALL_BODY, () => {
    return new RequestError('BODY_TOO_LARGE', `the body has more than ${SMALL_BODY} bytes`);
  });
  return body.length === 0 ? {} : parseJson(body);
}

/**
 * @param expected  what the route takes, if not only JSON
 * @throws {RequestError} BAD_REQUEST
 */
export function parseJson(bytes: Buffer, expected?: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new RequestError('BAD_REQUEST', `the body is not JSON${expected ? `; expected ${expected}` : ''}`);
  }
}

export function tooLarge(maxBytes: number): RequestError {
  return new RequestError('IMAGE_TOO_LARGE', `the image has more than ${maxBytes} bytes; send a smaller one`);
}
