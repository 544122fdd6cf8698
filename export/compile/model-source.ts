/** What can be exported: layers models, graph models and functions of tensors, all seen as one thing. */
import { UserError } from '../../base/errors.js';
import type { tf } from '../../base/tfjs/core.js';
import type { DType, Operand } from '../../onnx/kernel-call.js';

/** An argument of a program. */
export interface InputSpec {
  name: string;
  /** Lengths; null if free. Only the first axis may stay free. */
  shape: readonly (number | null)[];
  dtype: DType;
}

/** A function of tensors; called several times, with other batch sizes. */
export type TensorFunction = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** A program with what a file says of it. */
export interface ModelSource {
  name: string;
  inputs: readonly InputSpec[];
  /** Absent: `output`, `output1`, … */
  outputNames?: readonly string[];
  /** Images are [N, C, H, W] in the program. */
  channelsFirst: boolean;
  /** Its outputs; later, where control flow has to be followed. */
  run(inputs: tf.Tensor[]): tf.Tensor[] | Promise<tf.Tensor[]>;
  /** Names of the tensors that it keeps; the active backend must be `onnxruntime`. */
  weightNames(): Map<Operand, string>;
}

export function functionSource(run: TensorFunction, inputs: readonly InputSpec[]): ModelSource {
  return {
    name: run.name || 'function',
    inputs,
    channelsFirst: false,
    run: (tensors) => [run(...tensors)].flat(),
    weightNames: () => new Map(),
  };
}

export function numeric(dtype: tf.DataType, input: string): DType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new UserError(`input ${input}: dtype ${dtype} cannot be exported; expected float32, int32 or bool`);
}

/** @throws {UserError} naming those that are not among `known` */
export function checkNames(names: readonly string[], known: readonly string[], what: string): void {
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length === 0) return;
  const near = known.filter((name) => missing.some((other) => name.includes(other) || other.includes(name)));
  const some = (near.length > 0 ? near : known).slice(-8).join(', ');
  throw new UserError(`outputs: the model has no ${what} ${missing.join(', ')}; it has ${known.length}, e.g. ${some}`);
}
