/** Crops through a session, some at a time, whatever length its batch axis has. */
import { toFloat32 } from '../../../onnx/file/stored-tensor.js';
import type * as ort from '../../../onnx/onnxruntime.js';
import { asInput } from '../../inference/float16.js';
import { runSession } from '../../inference/session.js';
import { bytesOf, elementCount, type Tensor, type TensorSpec } from '../../tensors.js';

/** Crops as the network takes them, one after another. */
export type Rows = Float32Array | Uint8Array;

/** Float32 values of some crops, [rows, …]. */
export interface Values {
  shape: number[];
  data: Float32Array;
}

/** Crops in one run: more gain nothing on the CPU, and hold a cancellation up. */
const ROWS_A_RUN = 8;

/**
 * Values by name. Blocks the calling thread for each run.
 * @param names  of values that are float32 or float16
 */
export async function runRows(
  session: ort.InferenceSession,
  input: TensorSpec,
  rows: Rows,
  names: readonly string[],
): Promise<Map<string, Values>> {
  const count = rows.length / elementCount(input.shape.slice(1));
  const parts = new Map<string, Values[]>(names.map((name) => [name, []]));
  const bytes = bytesOf(asInput(input.datatype, rows));
  const rowBytes = bytes.length / count;
  for (let at = 0; at < count; at += ROWS_A_RUN) {
    const some = bytes.subarray(at * rowBytes, (at + ROWS_A_RUN) * rowBytes);
    for (const tensor of await runOnce(session, input, some, Math.min(ROWS_A_RUN, count - at), names)) {
      const { name, shape, datatype } = tensor;
      parts.get(name)!.push({ shape, data: toFloat32(name, tensor.bytes, datatype === 'FP16' ? 'F16' : 'F32', shape) });
    }
  }
  return new Map([...parts].map(([name, some]) => [name, joined(some, count)]));
}

/**
 * The session's own tensors for `count` rows. If its batch axis has a fixed length, runs are filled up with rows of 0.
 * @param names  of values of any type
 */
export async function runOnce(
  session: ort.InferenceSession,
  input: TensorSpec,
  bytes: Uint8Array,
  count: number,
  names: readonly string[],
): Promise<Tensor[]> {
  const [batch, ...rest] = input.shape;
  if (batch === -1 || batch === count) return runSession(session, { ...input, shape: [count, ...rest], bytes }, names);
  const row = bytes.length / count;
  const results: Tensor[][] = [];
  for (let at = 0; at < count; at += batch) {
    const padded = new Uint8Array(row * batch);
    padded.set(bytes.subarray(at * row, (at + batch) * row));
    const whole = await runSession(session, { ...input, bytes: padded }, names);
    results.push(whole.map((tensor) => firstRows(tensor, Math.min(batch, count - at))));
  }
  return results[0].map((first, i) => {
    const all = Buffer.concat(results.map((tensors) => tensors[i].bytes));
    return { ...first, shape: [count, ...first.shape.slice(1)], bytes: all };
  });
}

function firstRows(tensor: Tensor, rows: number): Tensor {
  const [batch, ...rest] = tensor.shape;
  return { ...tensor, shape: [rows, ...rest], bytes: tensor.bytes.subarray(0, (tensor.bytes.length / batch) * rows) };
}

function joined(parts: readonly Values[], count: number): Values {
  if (parts.length === 1) return parts[0];
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { shape: [count, ...parts[0].shape.slice(1)], data };
}
