/** What one entry of the lowering table says. Rules are pure: specs and attributes in, specs or nodes out. */
import type { Graph, Value } from './graph.js';
import type { Attrs, TensorSpec } from './kernel-call.js';
import type { TensorData } from './layout.js';

export interface Rule {
  /** Lowest ONNX operator set whose meaning the nodes rely on. */
  readonly since: number;
  /**
   * tfjs's input names, in the order `outputs` and `lower` get them; a trailing `?` marks one that may be absent; `*`
   * takes a list.
   */
  readonly inputs: readonly string[] | '*';
  /** Why the rule cannot take these arguments; the call is then delegated to the cpu backend and counted. */
  readonly refuses?: (inputs: TensorSpec[], attrs: Attrs) => string | undefined;
  /**
   * Why it cannot take these values, for kernels that throw because of a value. `values` are an input's, in tfjs's
   * order, computed now if they are pending. Not asked while a program is traced.
   */
  readonly refusesValues?: (
    values: (input: number) => TensorData,
    inputs: TensorSpec[],
    attrs: Attrs,
  ) => string | undefined;
  /** A tensor without elements is like any other to it. */
  readonly takesEmpty?: true;
  /** tfjs expects a list of results, even of one. */
  readonly list?: true;
  /** Shapes and types of the results. */
  readonly outputs: (inputs: TensorSpec[], attrs: Attrs) => TensorSpec[];
  /** Adds nodes to `g`, returns one value a result, of the shape `outputs` gave, in any layout. */
  readonly lower: (g: Graph, inputs: Value[], attrs: Attrs) => Value[];
}

/** Reason to refuse where an input is not float32: ONNX operators used by most rules are defined for floats. */
export function refusesAllButFloat(inputs: TensorSpec[]): string | undefined {
  const other = inputs.find((input) => input && input.dtype !== 'float32');
  return other && `dtype ${other.dtype}`;
}
