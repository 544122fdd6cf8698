/**
 * Compares a written file in onnxruntime with the program it came from, on a backend of tfjs's that shares no code with
 * the exporter.
 */
import { UserError } from '../../base/errors.js';
import type { OnnxModel } from '../../onnx/file/onnx-model.js';
import type * as ort from '../../onnx/onnxruntime.js';
import { EndlessLoopError } from '../compile/endless-loops.js';
import { type CheckRun, checkPlans, describeRuns } from './check-plan.js';
import { type Parity, TOLERANCE } from './compare-with-network.js';
import { largestDifference, NonFiniteError } from './difference.js';
import { openLimited, openStrict } from './open-strict.js';
import { OverflowError } from './overflow.js';
import { explainByRounding, MOST_ROUNDING } from './rounding.js';
import { type BothOutputs, type Compared, runBoth } from './run-both.js';
import { alignTies } from './ties.js';

/**
 * Runs both on the same random numbers: uniform in −1 … 1; integers 0 or 1, in images 0 … 255; booleans. Sizes of a
 * free batch are 1 and others that the program was not traced with.
 * @throws {UserError} if an output is not finite, of another shape, or differs by more than rounding explains
 */
export async function compareWithSource(file: string, compared: Compared): Promise<Parity> {
  const session = await (compared.model.operators.Loop ? openLimited : openStrict)(file);
  const start = performance.now();
  try {
    const plans = await checkPlans(compared.model.parts, compared.verify ?? 'full');
    for (const [i, runs] of plans.entries()) {
      const parity = await follow(session, compared, runs).catch((error) => {
        if (i === plans.length - 1) throw withLengths(error, compared.model); // wasm lacks kernels, and has faults of its own
      });
      if (parity) return { ...parity, seconds: (performance.now() - start) / 1000 };
    }
    throw new Error('no plan to check by');
  } finally {
    await session.release();
  }
}

/** The error, and what may be its cause where lengths are free. */
function withLengths(error: unknown, { parts }: OnnxModel): unknown {
  const free = new Set(parts.inputs.flatMap(({ dims }) => dims.filter((length) => typeof length === 'string')));
  const isItsOwn = [NonFiniteError, OverflowError, EndlessLoopError].some((kind) => error instanceof kind);
  if (!(error instanceof UserError) || isItsOwn || free.size === 0) return error;
  return new UserError(
    `${error.message}. If the program does something else for some lengths of ${[...free].join(', ')}, fix them with batch (--batch) or inputShapes (--input-shape)`,
    { cause: error },
  );
}

async function follow(session: ort.InferenceSession, compared: Compared, runs: readonly CheckRun[]): Promise<Parity> {
  const { model, precision = 'fp32' } = compared;
  const given: BothOutputs[] = [];
  for (const run of runs) given.push(await runBoth(session, compared, run));
  const { runs: outputs, notes } = alignTies(model.parts, given);
  const rounding = precision === 'fp32' ? await explainByRounding(session, outputs) : [];
  const images = runs.reduce((sum, { rows }) => sum + rows, 0);
  const difference = largestDifference(outputs.flatMap(({ pairs }) => pairs));
  const allowed = rounding.length > 0 ? MOST_ROUNDING : TOLERANCE;
  return { images, ...difference, allowed, how: [describeRuns(runs), ...notes, ...rounding].join('; ') };
}
