/**
 * Runs a tensor program without numbers and keeps the kernel calls it made. Works on the backend `onnxruntime`, which
 * records calls anyway; here nothing is computed that depends on an input, and reading such a value is an error.
 */
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { TensorRecord } from '../../onnx/backend/record.js';
import { dependsOnData } from '../../onnx/backend/recorder.js';
import { BACKEND_NAME, missingKernels } from '../../onnx/backend/register.js';
import type { KernelCall, Operand, TensorSpec } from '../../onnx/kernel-call.js';

/** A program as recorded: `calls` in order, leaves being its inputs and whatever tensors it used. */
export interface Trace {
  readonly inputs: Operand[];
  readonly outputs: Operand[];
  readonly calls: KernelCall[];
}

/**
 * @param run     any function of tensors; called once, inside `tf.tidy`
 * @param inputs  shapes and types of its arguments; values that depend on other lengths than the batch's are fixed by
 *   these
 * @throws {UserError} if the program reads a value, so that its graph would depend on data, or if kernels have no
 *   lowering
 *                     rule: all of them are named, with the layers that call them
 */
export async function trace(
  run: (inputs: tf.Tensor[]) => tf.Tensor[] | Promise<tf.Tensor[]>,
  inputs: readonly TensorSpec[],
): Promise<Trace> {
  await tf.setBackend(BACKEND_NAME);
  const backend = tf.backend() as OnnxruntimeBackend;
  const recordOf = (tensor: tf.Tensor) => backend.recordOf(tensor.dataId);
  return recorder.trace(async ({ missing }) => {
    tf.engine().startScope('trace');
    const variables = keepVariables();
    try {
      const placeholders = inputs.map(({ shape, dtype }) =>
        tf.engine().makeTensorFromTensorInfo(backend.makeTensorInfo([...shape], dtype)),
      );
      const fed = placeholders.map(recordOf);
      for (const record of fed) record.fail(dependsOnData(''));
      const outputs = (await run(placeholders)).map(recordOf);
      variables.check();
      if (missing.size > 0) throw missingKernels(missing);
      const calls = recorder.callsFor(outputs);
      // Whoever holds the trace holds these arrays: no later tensor may be computed into them.
      for (const leaf of calls.flatMap((call) => call.inputs as readonly TensorRecord[]))
        if (leaf?.data) leaf.shared = true;
      return { inputs: fed, outputs, calls };
    } catch (cause) {
      if (!isRefusal(cause)) throw cause;
      const shapes = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(', ');
      throw new RefusedError(`tfjs cannot run the program on inputs of shape ${shapes}: ${cause.message}`, { cause });
    } finally {
      variables.restore();
      tf.engine().endScope();
    }
  });
}

/** tfjs does not take inputs of the shapes that a program was traced with. */
export class RefusedError extends UserError {}

/** An error that tfjs throws for arguments that do not fit. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error &&
  (error.constructor === Error || error.name === 'ValueError' || /Error in /.test(error.message));

/** Variables as they were before a trace, which would leave values in them that are never computed. */
function keepVariables(): { check(): void; restore(): void } {
  const variables = Object.values(tf.engine().state.registeredVariables);
  const before = variables.map((variable) => tf.clone(variable));
  const assigned = () => variables.filter(({ dataId, isDisposed }, i) => !isDisposed && dataId !== before[i].dataId);
  return {
    check: () => {
      const [variable] = assigned();
      if (!variable) return;
      throw new UserError(
        `the program assigns to the variable ${variable.name}; a file keeps no values from one run to the next: make it an input and an output`,
      );
    },
    restore: () => {
      for (const variable of assigned()) variable.assign(before[variables.indexOf(variable)]);
    },
  };
}
