/**
 * Compares a written file in onnxruntime with the program it came from, on a backend of tfjs's that shares no code with
 * the exporter.
 */
import { UserError } from '../../base/errors.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { newArray } from '../../onnx/backend/buffer-pool.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import type { OnnxModel } from '../../onnx/file/onnx-model.js';
import { permutation, sameLayout, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import { boundaryLayout, type Layouts } from '../compile/boundary.js';
import type { InputSpec, ModelSource } from '../compile/model-source.js';
import { broadcastNorms } from './broadcast-norms.js';
import { type CheckRun, checkPlans, describeRuns, innerLength, type Verification } from './check-plan.js';
import { type Parity, TOLERANCE } from './compare-with-network.js';
import { largestDifference, type OutputPair } from './difference.js';
import { openStrict } from './open-strict.js';
import { outputRanges } from './output-range.js';

/** What is compared. */
export interface Compared {
  source: ModelSource;
  model: OnnxModel;
  layout: Layouts;
  /** Default full. */
  verify?: Verification;
}

/**
 * Runs both on the same random numbers: uniform in −1 … 1; integers 0 or 1, in images 0 … 255; booleans. Sizes of a
 * free batch are 1 and others that the program was not traced with.
 * @throws {UserError} if an output is not finite, or of another shape
 */
export async function compareWithSource(file: string, compared: Compared): Promise<Parity> {
  const session = await openStrict(file);
  const start = performance.now();
  try {
    const plans = await checkPlans(compared.model.parts, compared.verify ?? 'full');
    for (const [i, runs] of plans.entries()) {
      const isLast = i === plans.length - 1;
      const parity = await follow(session, compared, runs).catch((error) => {
        if (isLast) throw error; // wasm lacks kernels, and has faults of its own
      });
      if (!parity || (parity.maxRel > TOLERANCE && !isLast)) continue;
      return { ...parity, how: describeRuns(runs), seconds: (performance.now() - start) / 1000 };
    }
    throw new Error('no plan to check by');
  } finally {
    await session.release();
  }
}

async function follow(session: ort.InferenceSession, compared: Compared, runs: readonly CheckRun[]): Promise<Parity> {
  const pairs: OutputPair[] = [];
  for (const run of runs) pairs.push(...(await both(session, compared, run)));
  return { images: runs.reduce((sum, { rows }) => sum + rows, 0), ...largestDifference(pairs) };
}

/** One run of both. */
async function both(session: ort.InferenceSession, compared: Compared, run: CheckRun): Promise<OutputPair[]> {
  const { source, model, layout } = compared;
  const boundary = boundaryLayout(source.channelsFirst, layout);
  const identity = [0, 1, 2, 3];
  const isMoved = (rank: number) => rank === 4 && !sameLayout(boundary, identity);
  const inputs = source.inputs.map((input, i) => numbersFor(input, run, i));
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, shape, data }) => {
      const moved = isMoved(shape.length);
      const values = moved ? transpose(data, shape, permutation(identity, boundary)) : data;
      const dims = moved ? boundary.map((axis) => shape[axis]) : shape;
      return [name, new ort.Tensor(dtype as 'float32', values as Float32Array, dims)];
    }),
  );
  const results = await session.run(feeds);
  await activate(run.backend);
  const expected = tf.tidy(() => {
    const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
    return source
      .run(tensors)
      .map((tensor) => (isMoved(tensor.rank) ? tf.transpose(tensor, [...boundary]) : tensor))
      .map((tensor) => ({ shape: tensor.shape, data: tensor.dataSync() }));
  });
  const ranges = outputRanges(model.parts);
  const fed = `${run.rows} row${run.rows === 1 ? '' : 's'}`;
  return model.parts.outputs.map(({ name }, i) => {
    const { shape, data } = expected[i];
    const { dims, data: actual } = results[name];
    if (String(dims) !== String(shape))
      throw new UserError(`output ${name}: of shape [${shape}] in tfjs, [${dims}] in the file, with ${fed}`);
    return {
      name,
      dims,
      expected: data as ArrayLike<number>,
      actual: actual as Float32Array,
      range: ranges.get(name),
      fed,
    };
  });
}

async function activate(backend: CheckRun['backend']): Promise<void> {
  if (backend === 'wasm') await tf.setBackend('wasm');
  else await selectBackend(backend);
  if (backend !== 'onnxruntime') broadcastNorms(backend);
}

function numbersFor({ name, shape, dtype }: InputSpec, run: CheckRun, which: number) {
  const full = shape.map((length, axis) => length ?? (axis === 0 ? run.rows : innerLength(axis, run)));
  const stream = random('parity', which, run.rows + 1000 * run.seed);
  const length = full.reduce((product, side) => product * side, 1);
  const levels = dtype === 'int32' && shape.length === 4 ? 256 : 2;
  const draw = dtype === 'float32' ? () => 2 * stream.uniform() - 1 : () => stream.integer(levels);
  const data = newArray(dtype, length).map(draw);
  return { name, dtype, shape: full, data };
}
