/**
 * A model that was read and edited, as bytes that lose nothing: the schema in use knows ONNX 1.10 and would drop later
 * fields (default attributes of functions, `overload`, `metadata_props` of nodes). Only what the edit put in is
 * encoded; all else keeps its bytes.
 */
import type { ExternalEntry } from './external-data.js';
import { onnx } from './onnx-proto.js';
import {
  fieldsOf,
  GRAPH_INITIALIZER,
  inMemory,
  MODEL_GRAPH,
  piecesOf,
  TENSOR_DATA_LOCATION,
  TENSOR_EXTERNAL_DATA,
  TENSOR_RAW_DATA,
} from './wire.js';

const { GraphProto, TensorProto } = onnx;
type ModelProto = onnx.IModelProto;
type Tensor = onnx.ITensorProto;

/** Values to be put into a tensor, or where they lie instead. */
export type TensorData = Uint8Array | ExternalEntry[];

/** Lists of a graph that edits replace, and their field numbers. */
const LISTS = { node: 1, initializer: GRAPH_INITIALIZER, input: 11, output: 12, valueInfo: 13 } as const;
type List = keyof typeof LISTS;

/** The message of a model, and what it was decoded to. */
export interface Decoded {
  bytes: Uint8Array;
  proto: ModelProto;
}

/**
 * @param edited  `decoded.proto` with other lists in its graph: their elements are the same objects, or new ones
 * @param data    of tensors that lie outside the model: their values, to be put into it, or other places
 */
export function encodeEdited(
  { bytes, proto }: Decoded,
  edited: ModelProto,
  data: ReadonlyMap<Tensor, TensorData> = new Map(),
): Uint8Array {
  const pieces = splitMessage(bytes).flatMap(({ number, whole, value }) =>
    number === MODEL_GRAPH ? piecesOf(MODEL_GRAPH, graphPieces({ bytes: value, proto }, edited, data)) : [whole],
  );
  return Buffer.concat(pieces); // at once: weights may be among them
}

function graphPieces(
  { bytes, proto }: Decoded,
  edited: ModelProto,
  data: ReadonlyMap<Tensor, TensorData>,
): Uint8Array[] {
  const fields = splitMessage(bytes);
  const lists = Object.entries(LISTS) as [List, number][];
  const numbers = new Set<number>(Object.values(LISTS));
  const pieces = fields.filter(({ number }) => !numbers.has(number)).map(({ whole }) => whole);
  for (const [list, number] of lists) {
    const read = fields.filter((field) => field.number === number);
    const stored = new Map<object, Uint8Array>((proto.graph?.[list] ?? []).map((item, i) => [item, read[i].value]));
    for (const item of edited.graph?.[list] ?? []) {
      const own = stored.get(item);
      const values = data.get(item);
      if (!own) pieces.push(GraphProto.encode({ [list]: [item] }).finish());
      else pieces.push(...piecesOf(number, values ? withData(own, values) : [own]));
    }
  }
  return pieces;
}

/** A tensor with its values in itself, or elsewhere. */
function withData(tensor: Uint8Array, data: TensorData): Uint8Array[] {
  const isPlace = Array.isArray(data);
  const places = isPlace ? [TENSOR_EXTERNAL_DATA] : [TENSOR_RAW_DATA, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION];
  const kept = splitMessage(tensor).filter(({ number }) => !places.includes(number));
  const added = isPlace ? [TensorProto.encode({ externalData: data }).finish()] : piecesOf(TENSOR_RAW_DATA, [data]);
  return [...kept.map(({ whole }) => whole), ...added];
}

/** The fields of a message: bytes with and without tag and length. */
function splitMessage(message: Uint8Array): { number: number; whole: Uint8Array; value: Uint8Array }[] {
  return Array.from(fieldsOf(inMemory(message), 0, message.length), ({ number, from, start, end }) => ({
    number,
    whole: message.subarray(from, end),
    value: message.subarray(start, end),
  }));
}
