/**
 * The images in a `multipart/form-data` body (RFC 7578) that is in memory as a whole. One synchronous pass: a streaming
 * parser that waits for its consumer can wait for ever, and leaves the request unanswered.
 */
import { MIMEType } from 'node:util';
import { RequestError } from '../errors.js';

const MAX_PARTS = 1000;
/** Of one part, bytes. */
const MAX_HEADERS = 8192;
/** RFC 2046, §5.1.1. */
const MAX_BOUNDARY = 70;

interface Part {
  /** Of the field; undefined if its headers give none. */
  name?: string;
  filename?: string;
  content: Buffer;
}

/** An image of a batch; without bytes if they are not base64. */
export interface BatchImage {
  /** Of the file, if the client gives one. */
  name?: string;
  bytes?: Uint8Array;
}

/**
 * @param fields  names of the field that may hold the image
 * @returns       a view of `body`
 * @throws {RequestError} BAD_FORM, IMAGE_FIELD_MISSING
 */
export function imageOfForm(body: Buffer, contentType: string, fields: readonly string[]): Buffer {
  const images: Buffer[] = [];
  let parts = 0;
  for (const { name, content } of partsOf(body, boundaryOf(contentType))) {
    if (++parts > MAX_PARTS) throw malformed(`more than ${MAX_PARTS} parts`);
    if (name !== undefined && fields.includes(name)) images.push(content);
    if (images.length > 1) throw malformed(`more than one field "${name}"; send one image a request`);
  }
  if (images.length === 1) return images[0];
  throw new RequestError('IMAGE_FIELD_MISSING', `the form has no field "${fields[0]}"; send the image in it`);
}

/**
 * The images of a batch, in order.
 * @param max  how many there may be
 * @throws {RequestError} BAD_FORM, IMAGE_FIELD_MISSING, BATCH_TOO_LARGE
 */
export function filesOfForm(body: Buffer, contentType: string, fields: readonly string[], max: number): BatchImage[] {
  const images: BatchImage[] = [];
  let parts = 0;
  for (const { name, filename, content } of partsOf(body, boundaryOf(contentType))) {
    if (++parts > MAX_PARTS) throw malformed(`more than ${MAX_PARTS} parts`);
    if (name === undefined || !fields.includes(name)) continue;
    if (images.length === max) throw tooMany(max, 'more');
    images.push({ name: filename, bytes: content });
  }
  if (images.length > 0) return images;
  throw new RequestError('IMAGE_FIELD_MISSING', `the form has no field "${fields[0]}"; send each image in one`);
}

function boundaryOf(contentType: string): string {
  const boundary = parameter(contentType, 'boundary') ?? '';
  if (boundary.length >= 1 && boundary.length <= MAX_BOUNDARY) return boundary;
  throw malformed(`Content-Type: expected a boundary of 1 to ${MAX_BOUNDARY} characters, got ${boundary.length}`);
}

function* partsOf(body: Buffer, boundary: string): Generator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const opening = delimiter.subarray(2);
  let at = body.subarray(0, opening.length).equals(opening) ? opening.length : endOf(delimiter, body, 0);
  if (at < 0) throw malformed(`the boundary "${boundary}" of its Content-Type is not in the body`);
  while (body.toString('latin1', at, at + 2) !== '--') {
    const start = at + lineEnd(body, at);
    // The line break before a delimiter may be the one after the last.
    at = endOf(delimiter, body, start - 2);
    if (at < 0) throw malformed(`the end is missing: "--${boundary}--"`);
    yield part(body.subarray(start, Math.max(start, at - delimiter.length)));
  }
}

/** Place after the next delimiter; negative if there is none. */
function endOf(delimiter: Buffer, body: Buffer, from: number): number {
  const start = body.indexOf(delimiter, from);
  return start < 0 ? start : start + delimiter.length;
}

/** Length of what closes a delimiter's line: spaces are allowed before the break. */
function lineEnd(body: Buffer, at: number): number {
  const [padding] = /^[ \t]{0,100}\r\n/.exec(body.toString('latin1', at, at + 102)) ?? [];
  if (padding === undefined) throw malformed('a boundary is not followed by a line break');
  return padding.length;
}

function part(bytes: Buffer): Part {
  if (bytes.toString('latin1', 0, 2) === '\r\n') return { content: bytes.subarray(2) };
  const headers = bytes.indexOf('\r\n\r\n');
  if (headers < 0) return { content: bytes };
  if (headers > MAX_HEADERS) throw malformed(`a part has more than ${MAX_HEADERS} bytes of headers`);
  const text = bytes.toString('latin1', 0, headers).replace(/\r\n[ \t]+/g, ' ');
  const [, disposition] = /^content-disposition:[ \t]*(form-data.*)$/im.exec(text) ?? [];
  // Written like the parameters of a type.
  const told = (name: string) => (disposition === undefined ? undefined : parameter(`multipart/${disposition}`, name));
  const filename = told('filename');
  return {
    name: told('name'),
    filename: filename && Buffer.from(filename, 'latin1').toString('utf8'),
    content: bytes.subarray(headers + 4),
  };
}

function parameter(type: string, name: string): string | undefined {
  try {
    return new MIMEType(type).params.get(name) ?? undefined;
  } catch {
    return undefined;
  }
}

function malformed(problem: string): RequestError {
  return new RequestError('BAD_FORM', `the multipart form is malformed: ${problem}`);
}

export function tooMany(max: number, count: number | string): RequestError {
  return new RequestError('BATCH_TOO_LARGE', `expected at most ${max} images, got ${count}; send several requests`);
}
