/**
 * Compares a written file in onnxruntime with the program it came from, on tfjs's own cpu backend: no code in common.
 */
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { newArray } from '../../onnx/backend/buffer-pool.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import type { OnnxModel } from '../../onnx/file/onnx-model.js';
import { permutation, sameLayout, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import { boundaryLayout, type Layouts } from '../compile/export-onnx.js';
import { BATCH } from '../compile/free-batch.js';
import type { InputSpec, ModelSource } from '../compile/model-source.js';
import type { Parity } from './compare-with-network.js';
import { largestDifference, type OutputPair } from './difference.js';
import { openStrict } from './open-strict.js';

/** Rows of the two runs if their number is free: one, and several. */
const ROWS = [1, 3];

/**
 * Runs both on the same random numbers: uniform in −1 … 1, 0 or 1 for integers and booleans.
 * @throws {UserError} if an output is not finite, or of another shape
 */
export async function compareWithSource(
  file: string,
  source: ModelSource,
  model: OnnxModel,
  layout: Layouts,
): Promise<Parity> {
  const session = await openStrict(file);
  const [rows] = model.parts.inputs.map(({ dims }) => dims[0]).filter((length) => length !== undefined);
  const sizes = model.parts.inputs.some(({ dims }) => dims[0] === BATCH) ? ROWS : [Number(rows ?? 1)];
  try {
    const pairs: OutputPair[] = [];
    for (const size of sizes) pairs.push(...(await compared(session, source, model, layout, size)));
    return { images: sizes.reduce((sum, size) => sum + size, 0), ...largestDifference(pairs) };
  } finally {
    await session.release();
  }
}

async function compared(
  session: ort.InferenceSession,
  source: ModelSource,
  { parts }: OnnxModel,
  layout: Layouts,
  rows: number,
): Promise<OutputPair[]> {
  const boundary = boundaryLayout(source.channelsFirst, layout);
  const identity = [0, 1, 2, 3];
  const isMoved = (rank: number) => rank === 4 && !sameLayout(boundary, identity);
  const inputs = source.inputs.map((input, i) => numbersFor(input, rows, i));
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, shape, data }) => {
      const moved = isMoved(shape.length);
      const values = moved ? transpose(data, shape, permutation(identity, boundary)) : data;
      const dims = moved ? boundary.map((axis) => shape[axis]) : shape;
      return [name, new ort.Tensor(dtype as 'float32', values as Float32Array, dims)];
    }),
  );
  const results = await session.run(feeds);
  await selectBackend('cpu');
  const expected = tf.tidy(() => {
    const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
    return source
      .run(tensors)
      .map((tensor) => (isMoved(tensor.rank) ? tf.transpose(tensor, [...boundary]) : tensor).dataSync());
  });
  return parts.outputs.map(({ name }, i) => ({
    name,
    dims: results[name].dims,
    expected: expected[i] as ArrayLike<number>,
    actual: results[name].data as Float32Array,
  }));
}

function numbersFor({ name, shape, dtype }: InputSpec, rows: number, which: number) {
  const full = shape.map((length) => length ?? rows);
  const stream = random('parity', which, rows);
  const length = full.reduce((product, side) => product * side, 1);
  const draw = dtype === 'float32' ? () => 2 * stream.uniform() - 1 : () => stream.integer(2);
  const data = newArray(dtype, length).map(draw);
  return { name, dtype, shape: full, data };
}
