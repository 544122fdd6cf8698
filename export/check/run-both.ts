/** One run of a program and of its file, on the same numbers. */
import { UserError } from '../../base/errors.js';
import { isOutOfMemory } from '../../base/out-of-memory.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { newArray } from '../../onnx/backend/buffer-pool.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import type { OnnxModel } from '../../onnx/file/onnx-model.js';
import { permutation, sameNumbers, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import { boundaryLayout, type Layouts } from '../compile/boundary.js';
import type { InputSpec, ModelSource } from '../compile/model-source.js';
import { broadcastNorms } from './broadcast-norms.js';
import { type CheckRun, innerLength, type Verification } from './check-plan.js';
import type { OutputPair } from './difference.js';
import { endlessLoop } from './limit-rounds.js';
import { outputRanges } from './output-range.js';
import { checkOverflow } from './overflow.js';

/** What is compared. */
export interface Compared {
  source: ModelSource;
  model: OnnxModel;
  layout: Layouts;
  /** Default full. */
  verify?: Verification;
  /** Of the file; `model` is in float32. Default fp32, and only that is held to rounding. */
  precision?: 'fp32' | 'fp16' | 'int8';
}

export type Feeds = Record<string, ort.Tensor>;

/** What both gave, and what the file was fed. */
export interface BothOutputs {
  feeds: Feeds;
  pairs: OutputPair[];
}

/** Order of axes as the program has them. */
const IDENTITY = [0, 1, 2, 3];

/** @throws {UserError} if an output is of another shape, or passes float16's range */
export async function runBoth(session: ort.InferenceSession, compared: Compared, run: CheckRun): Promise<BothOutputs> {
  const { source, model, layout } = compared;
  const boundary = boundaryLayout(source.channelsFirst, layout);
  const isMoved = (rank: number) => rank === 4 && !sameNumbers(boundary, IDENTITY);
  const inputs = source.inputs.map((input, i) => numbersFor(input, run, i));
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, shape, data }) => {
      const moved = isMoved(shape.length);
      const values = moved ? transpose(data, shape, permutation(IDENTITY, boundary)) : data;
      const dims = moved ? boundary.map((axis) => shape[axis]) : shape;
      return [name, new ort.Tensor(dtype as 'float32', values as Float32Array, dims)];
    }),
  );
  const results = await session.run(feeds).catch((cause: Error) => {
    const endless = endlessLoop(cause, model.parts);
    if (endless) throw endless;
    const shapes = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
    throw new UserError(`onnxruntime cannot run the file on ${shapes}: ${cause.message}`, { cause });
  });
  if (compared.precision === 'fp16') await checkOverflow(model.parts, { count: 1, at: () => feeds });
  const expected = await inTfjs(source, inputs, run.backend, (tensor) =>
    isMoved(tensor.rank) ? tf.transpose(tensor, [...boundary]) : tensor,
  ).catch((cause) => {
    if (cause instanceof UserError || isOutOfMemory(cause)) throw cause;
    throw new UserError(`the program itself fails on the check's random numbers: ${(cause as Error).message}`, {
      cause,
    });
  });
  const ranges = outputRanges(model.parts);
  const fed = `${run.rows} row${run.rows === 1 ? '' : 's'}`;
  const pairs = model.parts.outputs.map(({ name }, i): OutputPair => {
    const { shape, data } = expected[i];
    const { dims, data: actual } = results[name];
    if (String(dims) !== String(shape))
      throw new UserError(`output ${name}: of shape [${shape}] in tfjs, [${dims}] in the file, with ${fed}`);
    return { name, dims, expected: data, actual: actual as Float32Array, range: ranges.get(name), fed };
  });
  return { feeds, pairs };
}

type Numbers = ReturnType<typeof numbersFor>;

/** The program's outputs on one of tfjs's backends, in the order of axes that the file has. */
async function inTfjs(
  source: ModelSource,
  inputs: readonly Numbers[],
  backend: CheckRun['backend'],
  moved: (tensor: tf.Tensor) => tf.Tensor,
): Promise<{ shape: number[]; data: ArrayLike<number> }[]> {
  await activate(backend);
  tf.engine().startScope('check');
  try {
    const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
    const outputs = await source.run(tensors);
    return outputs.map(moved).map((tensor) => ({ shape: tensor.shape, data: tensor.dataSync() }));
  } finally {
    tf.engine().endScope();
  }
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
