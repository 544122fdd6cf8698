/**
 * An inference's outputs as the client asked for them: numbers in JSON, bytes after it, or the names of the most
 * probable classes.
 */
import { RequestError } from '../../errors.js';
import { type ServedModel, topPredictions } from '../../served-model.js';
import { numbersOf, type Tensor } from '../../tensors.js';
import { bytesOfStrings, jsonOf } from './data.js';
import type { WantedOutput } from './request.js';
import type { InferOutput, InferResponseBody } from './schemas.js';

export interface InferAnswer {
  /** The JSON. */
  head: Uint8Array;
  /** Bytes of the binary outputs, in order. */
  binary: Uint8Array[];
}

/** @throws {RequestError} BAD_REQUEST if an output cannot be given as asked */
export function inferAnswer(
  tensors: readonly Tensor[],
  wanted: readonly WantedOutput[],
  model: ServedModel,
  id: string | undefined,
): InferAnswer {
  const binary: Uint8Array[] = [];
  const outputs = wanted.map((want): InferOutput => {
    const tensor = tensors.find(({ name }) => name === want.name)!;
    const given = want.classification === undefined ? undefined : classes(tensor, want.classification, model);
    const described = given
      ? { name: want.name, datatype: 'BYTES' as const, shape: given.shape }
      : { name: want.name, datatype: tensor.datatype, shape: tensor.shape };
    if (!want.binary) return { ...described, data: given ? given.strings : jsonOf(tensor) };
    const bytes = given ? bytesOfStrings(given.strings) : tensor.bytes;
    binary.push(bytes);
    return { ...described, parameters: { binary_data_size: bytes.length } };
  });
  const json: InferResponseBody = { model_name: model.name, model_version: model.version, id, outputs };
  return { head: new TextEncoder().encode(JSON.stringify(json)), binary };
}

/** Triton's classification extension: BYTES [batch, k], elements `value:index:label`, the largest first. */
function classes(
  { name, datatype, shape, bytes }: Tensor,
  count: number,
  model: ServedModel,
): { shape: number[]; strings: string[] } {
  const { labels } = model;
  if (datatype !== 'FP32' || shape.length !== 2 || shape[1] !== labels.length)
    throw new RequestError(
      'BAD_REQUEST',
      `output "${name}": classification: is ${datatype} [${shape}], expected FP32 [N, ${labels.length}], one value per class`,
    );
  const values = numbersOf(datatype, bytes) as Float32Array;
  const k = Math.min(count, labels.length);
  const strings = Array.from({ length: shape[0] }, (_, row) =>
    topPredictions(values.subarray(row * labels.length, (row + 1) * labels.length), model, k).map(
      ({ probability, index, label }) => `${probability.toFixed(6)}:${index}:${label}`,
    ),
  ).flat();
  return { shape: [shape[0], k], strings };
}
