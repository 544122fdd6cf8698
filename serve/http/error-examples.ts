/** What errors say whose message depends on the request, for the OpenAPI document. Others say what `ERRORS` says. */
import { bothNames } from '../../base/errors.js';
import { READ_FORMATS } from '../../base/image/formats.js';
import { type ErrorCode, RequestError } from '../errors.js';
import { type QueryDoc, unknownKey } from './parse-query.js';

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  BAD_REQUEST: 'the body is not JSON',
  EMPTY_BODY: `the body is empty; send the bytes of a ${READ_FORMATS} image`,
  BAD_FORM: 'the multipart form is malformed: the end is missing: "--x--"',
  INVALID_TOP: 'top: expected a whole number from 1 to 1000, the number of classes, got "0"',
  INVALID_IMAGE: 'the image cannot be decoded: the file is cut short',
  MODEL_AMBIGUOUS: 'the server has several models: alexnet, caffenet; choose one with ?model=',
  LOAD_FAILED: 'model "alexnet", version 2: alexnet/2/model.onnx: not an ONNX file',
  HOST_NOT_ALLOWED: `the server does not answer as "evil.example"; name it in ${bothNames('allowedHosts')} if it should`,
  VIEW_UNAVAILABLE: 'the file of this model does not give its crops one by one',
  MODEL_NOT_FOUND: 'no model "none" here; there is "alexnet"',
  MODEL_UNAVAILABLE: 'model "alexnet", version 1 could not be loaded: alexnet/1/model.onnx: not an ONNX file',
  UPLOAD_TIMEOUT: `the body took more than 60 s; send it faster, or start the server with a longer ${bothNames('uploadTimeoutMs', 'upload-timeout')}`,
  BATCH_TOO_LARGE: 'expected at most 64 images, got 65; send several requests',
  IMAGE_TOO_LARGE: 'the image has more than 20000000 bytes; send a smaller one',
  IMAGE_TOO_MANY_PIXELS: 'the image has more than 50000000 pixels; make it smaller',
  UNSUPPORTED_IMAGE_TYPE: `this is PDF; expected the bytes of a ${READ_FORMATS} image`,
};
/** These pass by themselves. */
const RETRIED: ReadonlySet<ErrorCode> = new Set([
  'NOT_READY',
  'IN_FLIGHT_FULL',
  'QUEUE_FULL',
  'VIEWS_BUSY',
  'SHUTTING_DOWN',
]);

/** @param query  of the route, if it refuses parameters that it does not know */
export function exampleOf(code: ErrorCode, query?: QueryDoc): RequestError {
  if (code === 'BAD_REQUEST' && query) return unknownKey(query, 'topp');
  return new RequestError(code, MESSAGES[code], RETRIED.has(code) ? 1 : undefined);
}
