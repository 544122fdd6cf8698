/** Any TensorFlow.js model, or function of tensors, as an ONNX model. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { OnnxModel } from '../../onnx/file/onnx-model.js';
import type { Graph, Value } from '../../onnx/graph.js';
import { identity, type Layout, NCHW } from '../../onnx/layout.js';
import {
  functionSource,
  graphModelSource,
  type InputSpec,
  layersModelSource,
  type ModelSource,
  type TensorFunction,
} from './model-source.js';
import { compileProgram, OPSETS } from './program.js';
import { trace } from './trace.js';

/** Order of an image's axes at inputs and outputs: as the model has it, channels last, channels first. */
export const LAYOUTS = ['model', 'nhwc', 'nchw'] as const;
export type Layouts = (typeof LAYOUTS)[number];

export interface OnnxOptions {
  /** Arguments of a function. The first axis is free if it is null. */
  inputs?: readonly InputSpec[];
  /**
   * Shapes of a model's inputs in place of its own, by name; '' is the only input. For axes that the model leaves free.
   */
  inputShapes?: Readonly<Record<string, InputSpec['shape']>>;
  /** Names of the results; default: the model's, or `output`, `output1`, … */
  outputNames?: readonly string[];
  /** ONNX operator set, 13 to 22 (default 13). */
  opset?: number;
  /** Response normalisation as ONNX's operator (default) or as a band convolution, equal to 1e-6. */
  lrn?: 'op' | 'conv';
  /** Order of the axes of 4-D inputs and outputs. */
  layout?: Layouts;
  /** A fixed length of the first axis in place of a free one. */
  batch?: number;
  /** Name of the graph. */
  name?: string;
  /** `metadata_props` of the file. */
  metadata?: Record<string, string>;
}

/** NHWC in memory of a tensor [N, C, H, W]. */
const NHWC_OF_NCHW: Layout = [0, 2, 3, 1];

/**
 * Exports what `model.predict` computes. Equal models give equal bytes; the model is left as it was. The active backend
 * becomes `onnxruntime`.
 * @param model  a layers model, a graph model, or a function of tensors together with `options.inputs`
 * @throws {UserError} naming every kernel without a lowering rule; also if the graph depends on data, or if an axis
 *   other than the first
 *                     is free
 */
export async function exportOnnx(
  model: LayersModel | GraphModel | TensorFunction,
  options: OnnxOptions = {},
): Promise<OnnxModel> {
  return exportSource(sourceOf(model, options), options);
}

/** A model as a source; see `exportOnnx`. */
export function sourceOf(
  model: LayersModel | GraphModel | TensorFunction,
  { inputs, inputShapes = {} }: OnnxOptions,
): ModelSource {
  if (typeof model === 'function') {
    if (!inputs)
      throw new UserError('exportOnnx: a function needs options.inputs: name, shape and dtype of each argument');
    return functionSource(model, inputs);
  }
  const source = 'layers' in model ? layersModelSource(model) : graphModelSource(model);
  return { ...source, inputs: withShapes(source.inputs, inputShapes) };
}

function withShapes(inputs: readonly InputSpec[], shapes: Readonly<Record<string, InputSpec['shape']>>): InputSpec[] {
  const known = inputs.map((input) => `${input.name} ${shapeText(input.shape)}`).join(', ');
  const given = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const input = name === '' && inputs.length === 1 ? inputs[0] : inputs.find((other) => other.name === name);
      if (!input) throw new UserError(`input "${name}": the model has no such input; it has ${known}`);
      const fits = shape.length === input.shape.length && input.shape.every((n, a) => n === null || n === shape[a]);
      if (!fits)
        throw new UserError(`input ${input.name}: shape ${shapeText(shape)} does not fit the model's, ${known}`);
      return [input.name, shape];
    }),
  );
  return inputs.map((input) => ({ ...input, shape: given.get(input.name) ?? input.shape }));
}

const shapeText = (shape: readonly (number | null)[]) => `[${shape.map((length) => length ?? '?').join(', ')}]`;

/** Exports a source; see `exportOnnx`. */
export async function exportSource(source: ModelSource, options: OnnxOptions): Promise<OnnxModel> {
  const { opset = OPSETS.default, lrn = 'op', layout = 'model', metadata = {} } = options;
  const { inputs } = source;
  checkShapes(inputs);
  const batch = fixedRows(inputs, options.batch);
  const shapeAt = ({ shape }: InputSpec, rows: number) => shape.map((length) => length ?? rows);
  const boundary = boundaryLayout(source.channelsFirst, layout);
  const at = (rank: number) => (rank === 4 ? boundary : identity(rank));
  const parts = await compileProgram({
    trace: (rows) => traceSource(source, rows),
    weightNames: () => source.weightNames(),
    build: (g: Graph, rows: number, network: (values: Value[]) => Value[]) => {
      const values = inputs.map((input) =>
        g.input(input.name, input.dtype, shapeAt(input, rows), at(input.shape.length)),
      );
      return { inputs: values, outputs: network(values).map((value) => g.as(value, at(value.shape.length))) };
    },
    outputNames: options.outputNames ?? source.outputNames,
    target: { opset, lrn, finite: true },
    batch,
  });
  const props = Object.entries(metadata).map(([key, value]) => ({ key, value }));
  return new OnnxModel({ ...parts, graphName: options.name ?? source.name, metadata: props });
}

/** Records the program for `rows` in place of free first axes. */
export function traceSource({ run, inputs }: ModelSource, rows: number) {
  return trace(
    run,
    inputs.map(({ shape, dtype }) => ({ shape: shape.map((length) => length ?? rows), dtype })),
  );
}

function checkShapes(inputs: readonly InputSpec[]): void {
  for (const { name, shape } of inputs) {
    const axis = shape.findIndex((length, a) => a > 0 && length === null);
    if (axis < 0) continue;
    const example = shape.map((length, a) => length ?? (a === 0 ? 'N' : 32)).join(',');
    throw new UserError(
      `input ${name} ${shapeText(shape)}: axis ${axis} is free; only the first may be. Give its length, e.g. --input-shape ${name}=${example}`,
    );
  }
}

/** Rows of a program whose first axis is not free, or undefined if it is. */
function fixedRows(inputs: readonly InputSpec[], asked: number | undefined): number | undefined {
  const [free, fixed] = [true, false].map((isFree) => inputs.filter(({ shape }) => (shape[0] === null) === isFree));
  if (asked !== undefined) return asked;
  const rows = fixed.filter(({ shape }) => shape.length > 0);
  return free.length > 0 && rows.length === 0 ? undefined : (rows[0]?.shape[0] ?? 1);
}

/** Memory order of 4-D inputs and outputs. */
export function boundaryLayout(channelsFirst: boolean, wanted: Layouts): Layout {
  if (wanted === 'model' || (wanted === 'nchw') === channelsFirst) return identity(4);
  return channelsFirst ? NHWC_OF_NCHW : NCHW;
}
