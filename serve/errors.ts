import type { Response } from 'express';
import { bothNames } from '../base/errors.js';
import { READ_FORMATS } from '../base/image/formats.js';

/** Content codings that bodies may have. */
export const ENCODINGS = ['gzip', 'deflate', 'br'] as const;

/**
 * Every error that a request can be answered with: the code clients may rely on, the HTTP status and the message that
 * stands where the case has nothing more exact to say. Status codes are decided here and nowhere else.
 */
export const ERRORS = {
  BAD_REQUEST: { status: 400, message: 'the request is malformed' },
  EMPTY_BODY: { status: 400, message: `the image is empty; expected the bytes of a ${READ_FORMATS} image` },
  BAD_FORM: { status: 400, message: 'the multipart form is malformed' },
  IMAGE_FIELD_MISSING: { status: 400, message: 'the form has no field "image"; send the image in it' },
  INVALID_TOP: { status: 400, message: 'top is out of range' },
  INVALID_IMAGE: { status: 400, message: 'the image cannot be decoded' },
  NOT_FOUND: { status: 404, message: 'no such route; send an image to POST /classify' },
  MODEL_AMBIGUOUS: { status: 400, message: 'the server has several models; choose one' },
  LOAD_FAILED: { status: 400, message: 'the model cannot be loaded' },
  UNAUTHORIZED: { status: 401, message: 'expected "Authorization: Bearer" with the token of this server' },
  ADMIN_OFF: {
    status: 403,
    message: `loading and unloading models is off; start the server with ${bothNames('adminToken', 'admin')}`,
  },
  HOST_NOT_ALLOWED: { status: 403, message: 'the server does not answer as this host' },
  VIEW_UNAVAILABLE: { status: 404, message: 'this view is not available for this model' },
  MODEL_NOT_FOUND: { status: 404, message: 'no such model' },
  METHOD_NOT_ALLOWED: { status: 405, message: 'this route does not support that method' },
  UPLOAD_TIMEOUT: { status: 408, message: 'the body did not arrive in time; send it faster' },
  JSON_TOO_LARGE: { status: 413, message: 'the JSON would take more memory than allowed; send fewer values' },
  BATCH_TOO_LARGE: { status: 413, message: 'the request has too many images, or too many bytes' },
  BODY_TOO_LARGE: { status: 413, message: 'the body has too many bytes' },
  IMAGE_TOO_LARGE: { status: 413, message: 'the image has too many bytes' },
  IMAGE_TOO_MANY_PIXELS: { status: 413, message: 'the image has too many pixels' },
  UNSUPPORTED_ENCODING: {
    status: 415,
    message: 'this Content-Encoding is not supported; send the body uncompressed, or as gzip, deflate or br',
  },
  UNSUPPORTED_IMAGE_TYPE: { status: 415, message: `not a ${READ_FORMATS} image; convert it to one of them` },
  INFERENCE_FAILED: { status: 500, message: 'the image could not be classified in two attempts' },
  VIEW_FAILED: { status: 500, message: 'the view could not be computed; the log of the server has this request id' },
  INTERNAL: { status: 500, message: 'an error in the server; its log has this request id' },
  MODEL_UNAVAILABLE: { status: 503, message: 'the model could not be loaded' },
  NOT_READY: { status: 503, message: 'the model is not loaded yet' },
  IN_FLIGHT_FULL: {
    status: 503,
    message: 'the server holds as many request bytes as it is allowed to; try again later',
  },
  QUEUE_FULL: { status: 503, message: 'too many images are waiting; try again later' },
  VIEWS_BUSY: { status: 503, message: 'too many views are waiting; try again later' },
  SHUTTING_DOWN: { status: 503, message: 'the server is shutting down' },
  DEADLINE_EXCEEDED: { status: 504, message: 'the image was not classified within the time limit' },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** Characters: what is quoted of a request may be megabytes. */
const MAX_MESSAGE = 1000;

/** A request that is answered with an error. The message goes to the client: no paths, no stack. */
export class RequestError extends Error {
  override name = 'RequestError';

  /** @param retryAfterS  whole seconds for the header Retry-After, 1 or more */
  constructor(
    readonly code: ErrorCode,
    message: string = ERRORS[code].message,
    readonly retryAfterS?: number,
  ) {
    super(message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)} …` : message);
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

type FaultLog = (line: string, level: 'error') => void;

/**
 * What a request is answered with after `error`, whose headers are set here unless they are on their way; faults of
 * ours are logged. Every protocol writes its body itself.
 */
export function requestError(error: unknown, response: Response, log: FaultLog): RequestError {
  const known = knownError(error, response, log);
  if (response.headersSent) return known;
  if (known.retryAfterS !== undefined) response.set('retry-after', String(known.retryAfterS));
  if (known.code === 'UNSUPPORTED_ENCODING') response.set('accept-encoding', ENCODINGS.join(', '));
  if (known.code === 'UPLOAD_TIMEOUT') response.set('connection', 'close'); // the rest of the body is not waited for
  return known;
}

/** What a client learns of an error; faults of ours are logged. */
export function knownError(error: unknown, response: Response, log: FaultLog): RequestError {
  const known = error instanceof RequestError ? withAdviceOnCurl(error, response) : new RequestError(codeOf(error));
  const id = response.get('x-request-id');
  if (known.code === 'INTERNAL') log(`request ${id}: ${error instanceof Error ? error.stack : error}`, 'error');
  return known;
}

/** What `curl -d @FILE` sends: it takes the line breaks out of the file, and calls the rest a form. */
function withAdviceOnCurl(error: RequestError, { req }: Response): RequestError {
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(req.headers['content-type'] ?? '');
  if (!isForm || !['INVALID_IMAGE', 'UNSUPPORTED_IMAGE_TYPE'].includes(error.code)) return error;
  return new RequestError(
    error.code,
    `${error.message}; with curl, use --data-binary @FILE, because -d changes the bytes`,
  );
}

/** Express marks what it cannot parse with a status of 4xx. */
function codeOf(error: unknown): ErrorCode {
  const { status } = (error ?? {}) as { status?: unknown };
  return typeof status === 'number' && status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL';
}
