/**
 * An inference request as the model takes it. Three forms (Triton's binary data extension): JSON; JSON followed by the
 * tensors' bytes, its length in the header `Inference-Header-Content-Length`; and with 0 in that header, the bytes of
 * the only input alone.
 */
import { READ_FORMATS } from '../../../base/image/formats.js';
import { RequestError } from '../../errors.js';
import { foreignFormat } from '../../inference/image/foreign-format.js';
import { isImageBytes } from '../../inference/image/image-kind.js';
import type { ServedModel } from '../../served-model.js';
import { allows, DATATYPES, elementCount, type Tensor } from '../../tensors.js';
import { parseJson } from '../body.js';
import { parseBody } from '../parse-body.js';
import { bytesOfJson, stringsOfBytes, stringsOfJson } from './data.js';
import { InferRequestBody } from './schemas.js';

/** An output that the client wants, and how. */
export interface WantedOutput {
  name: string;
  binary: boolean;
  /** Number of classes to be named in place of the values. */
  classification?: number;
}

export interface InferRequest {
  id?: string;
  /** The model's own input, or encoded images. */
  input: Tensor | { images: Uint8Array[] };
  outputs: WantedOutput[];
}

/** Images in one request. */
export const MAX_IMAGES = 64;
/** Of arrays and objects in a request, besides data. */
const MAX_ELEMENTS = 1000;

/**
 * @param headerLength  value of `Inference-Header-Content-Length`
 * @throws {RequestError} BAD_REQUEST that names the input
 */
export function parseInfer(body: Buffer, headerLength: string | undefined, model: ServedModel): InferRequest {
  if (headerLength === undefined) return parseRequest(body, Buffer.alloc(0), model);
  const length = /^\d{1,15}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (!(length <= body.length)) {
    throw new RequestError(
      'BAD_REQUEST',
      `Inference-Header-Content-Length: expected the bytes of the JSON, 0 to ${body.length} in this body, got ${JSON.stringify(headerLength)}`,
    );
  }
  if (length === 0) return parseRaw(body, model);
  return parseRequest(body.subarray(0, length), body.subarray(length), model);
}

function parseRaw(body: Buffer, { input, outputs, answer }: ServedModel): InferRequest {
  const { name, datatype, shape } = input;
  if (isImageBytes(body)) return { input: { images: [body] }, outputs: [{ name: answer, binary: true }] };
  const free = shape.filter((length) => length === -1).length;
  const row = elementCount(shape) * DATATYPES[datatype].bytes;
  if (free > 1 || body.length === 0 || body.length % row !== 0 || (free === 0 && body.length !== row)) {
    const got = foreignFormat(body) ?? `${body.length} bytes`;
    throw new RequestError(
      'BAD_REQUEST',
      `input "${name}": expected a ${READ_FORMATS} image, or ${free > 0 ? 'rows of ' : ''}${row} bytes (${datatype} [${shape}]), got ${got}`,
    );
  }
  const rows = body.length / row;
  return {
    input: { name, datatype, shape: shape.map((length) => (length === -1 ? rows : length)), bytes: body },
    outputs: outputs.map((output) => ({ name: output.name, binary: true })),
  };
}

function parseRequest(json: Buffer, binary: Buffer, model: ServedModel): InferRequest {
  const parsed = parseJson(json);
  if (remaining(parsed, MAX_ELEMENTS) < 0)
    throw new RequestError('BAD_REQUEST', `the body has more than ${MAX_ELEMENTS} elements besides data`);
  const { id, parameters, inputs, outputs } = parseBody(InferRequestBody, parsed);
  const bad = (problem: string) => new RequestError('BAD_REQUEST', problem);
  refuseSharedMemory('input', inputs);
  refuseSharedMemory('output', outputs ?? []);
  const { name, datatype, shape } = model.input;
  const unknown = inputs.find((input) => input.name !== name);
  if (unknown)
    throw bad(`input "${unknown.name}": the model has no such input; it has "${name}" ${datatype} [${shape}]`);
  if (inputs.length > 1) throw bad(`input "${name}": expected it once, got ${inputs.length} times`);
  const [given] = inputs;
  const input = given.datatype === 'BYTES' ? imagesOf(given, binary) : tensorOf(given, binary, model);
  const named = 'images' in input ? [model.answer] : model.outputs.map((output) => output.name);
  const binaryByDefault = parameters?.binary_data_output === true;
  const wanted = (outputs ?? named.map((output) => ({ name: output, parameters: undefined }))).map((output) => {
    if (!named.includes(output.name)) {
      throw bad(
        `output "${output.name}": the model has no such output for this input; it has ${named.map((text) => `"${text}"`).join(', ')}`,
      );
    }
    const binary = output.parameters?.binary_data ?? binaryByDefault;
    if (typeof binary !== 'boolean') throw bad(`output "${output.name}": binary_data: expected true or false`);
    return { name: output.name, binary, classification: classificationOf(output) };
  });
  return { id, input, outputs: wanted };
}

/** Triton's extension, whose clients would look for values where nobody has put them. */
function refuseSharedMemory(role: string, tensors: readonly { name: string; parameters?: object }[]): void {
  for (const { name, parameters = {} } of tensors) {
    const key = Object.keys(parameters).find((each) => each.startsWith('shared_memory_'));
    if (key === undefined) continue;
    throw new RequestError(
      'BAD_REQUEST',
      `${role} "${name}": ${key}: this server has no shared memory; send and take values in the bodies`,
    );
  }
}

/**
 * Of `left` elements those that are left: a schema would take seconds over millions, and tell of each. Stops below 0;
 * `data` is checked where it is read.
 */
function remaining(value: unknown, left: number): number {
  if (typeof value !== 'object' || value === null) return left;
  if (Array.isArray(value) && value.length > left) return -1;
  let now = left;
  for (const [key, part] of Object.entries(value)) {
    if (key === 'data') continue;
    now = remaining(part, now - 1);
    if (now < 0) break;
  }
  return now;
}

type GivenInput = InferRequestBody['inputs'][number];

function tensorOf(given: GivenInput, binary: Buffer, { input: spec }: ServedModel): Tensor {
  const { name, shape } = given;
  const where = `input "${name}"`;
  const bad = (problem: string) => new RequestError('BAD_REQUEST', `${where}: ${problem}`);
  if (given.datatype !== spec.datatype)
    throw bad(`datatype: expected ${spec.datatype}, or BYTES for images, got ${given.datatype}`);
  if (!shape.every((length) => length > 0) || !allows(spec.shape, shape))
    throw bad(`shape: expected [${spec.shape}], -1 for any length from 1 on, got [${shape}]`);
  const count = elementCount(shape);
  const size = count * DATATYPES[spec.datatype].bytes;
  const sent = binaryData(given, binary, bad);
  if (sent && sent.length !== size) throw bad(`expected ${size} bytes for the shape [${shape}], got ${sent.length}`);
  if (sent) return { name, datatype: spec.datatype, shape, bytes: sent };
  return { name, datatype: spec.datatype, shape, bytes: bytesOfJson(where, given.data, spec.datatype, shape) };
}

function imagesOf(given: GivenInput, binary: Buffer): { images: Uint8Array[] } {
  const { name, shape } = given;
  const where = `input "${name}"`;
  const bad = (problem: string) => new RequestError('BAD_REQUEST', `${where}: ${problem}`);
  const count = shape[0] ?? 1;
  if (shape.length > 2 || (shape[1] ?? 1) !== 1 || !(count >= 1 && count <= MAX_IMAGES))
    throw bad(`shape: expected [n] with 1 to ${MAX_IMAGES} images, got [${shape}]`);
  const sent = binaryData(given, binary, bad);
  return { images: sent ? stringsOfBytes(where, sent, count) : stringsOfJson(where, given.data, count) };
}

/** The input's bytes after the JSON; undefined if it stands in the JSON. */
function binaryData(given: GivenInput, binary: Buffer, bad: (problem: string) => RequestError): Buffer | undefined {
  const size = given.parameters?.binary_data_size;
  if (size === undefined) {
    if (binary.length > 0)
      throw bad(`unexpected additional input data, ${binary.length} bytes, and no binary_data_size`);
    if (given.data === undefined) throw bad('expected data, or binary_data_size and the bytes after the JSON');
    return undefined;
  }
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0)
    throw bad(`binary_data_size: expected a whole number of bytes, got ${JSON.stringify(size)}`);
  if (given.data !== undefined) throw bad('expected either data or binary_data_size, got both');
  if (size > binary.length)
    throw bad(`unexpected size for input, expecting ${size - binary.length} additional bytes after the JSON`);
  if (size < binary.length) throw bad(`unexpected additional input data, ${binary.length - size} bytes`);
  return binary;
}

function classificationOf({
  name,
  parameters,
}: {
  name: string;
  parameters?: Record<string, unknown>;
}): number | undefined {
  const count = parameters?.classification;
  if (count === undefined || count === 0) return undefined;
  if (typeof count === 'number' && Number.isInteger(count) && count > 0) return count;
  throw new RequestError(
    'BAD_REQUEST',
    `output "${name}": classification: expected a whole number of classes, got ${JSON.stringify(count)}`,
  );
}
