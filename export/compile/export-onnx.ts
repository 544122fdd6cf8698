/** Any TensorFlow.js model, or function of tensors, as an ONNX model. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { CLASSIFIER_KEY } from '../../onnx/file/classifier-description.js';
import { OnnxModel } from '../../onnx/file/onnx-model.js';
import type { Graph, Value } from '../../onnx/graph.js';
import { identity } from '../../onnx/layout.js';
import { checkClassifier } from '../check/check-classifier.js';
import { compareWithSource } from '../check/compare-with-source.js';
import { withSaved } from '../check/with-saved.js';
import { boundaryLayout } from './boundary.js';
import { withLengths } from './dynamic-lengths.js';
import { freeAxesOf, specOf, withRows } from './free-inputs.js';
import { graphModelSource } from './graph-source.js';
import { layersModelSource } from './layers-source.js';
import { functionSource, type InputSpec, type ModelSource, type TensorFunction } from './model-source.js';
import type { OnnxOptions } from './onnx-options.js';
import { compileProgram, OPSETS } from './program.js';
import { RefusedError, trace } from './trace.js';

/**
 * Exports what `model.predict` computes, and compares it with tfjs. Equal models give equal bytes; the model is left as
 * it was. The active backend becomes `onnxruntime`.
 * @param model  a layers model, a graph model, or a function of tensors together with `options.inputs`
 * @throws {UserError} naming every kernel without a lowering rule; also if the graph depends on data or on the
 *   length of a free axis, draws random numbers, or computes something else than tfjs; and if `classifier` does not fit
 */
export async function exportOnnx(
  model: LayersModel | GraphModel | TensorFunction,
  options: OnnxOptions = {},
): Promise<OnnxModel> {
  const source = sourceOf(model, options);
  const exported = await exportSource(source, options);
  const compared = { source, model: exported, layout: options.layout ?? 'model' };
  await withSaved(exported, ({ file }) => compareWithSource(file, { ...compared, verify: options.verify })).finally(
    () => tf.setBackend('onnxruntime'),
  );
  return exported;
}

/** A model as a source; see `exportOnnx`. */
export function sourceOf(
  model: LayersModel | GraphModel | TensorFunction,
  { inputs, inputShapes = {}, outputs, batch }: OnnxOptions,
): ModelSource {
  if (typeof model === 'function') {
    if (!inputs)
      throw new UserError('exportOnnx: a function needs options.inputs: name, shape and dtype of each argument');
    return functionSource(model, withRows(inputs, batch));
  }
  const source = 'layers' in model ? layersModelSource(model, outputs) : graphModelSource(model, outputs);
  return { ...source, inputs: withRows(withShapes(source.inputs, inputShapes), batch) };
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

/** Exports a source; see `exportOnnx`. Not checked against it. */
export async function exportSource(source: ModelSource, options: OnnxOptions): Promise<OnnxModel> {
  const { opset = OPSETS.default, lrn = 'op', layout = 'model', metadata = {} } = options;
  const { inputs } = source;
  const axes = freeAxesOf(inputs);
  const specs = (lengths: readonly number[]) => inputs.map((input, i) => specOf(input, i, axes, lengths));
  const boundary = boundaryLayout(source.channelsFirst, layout);
  const at = (rank: number) => (rank === 4 ? boundary : identity(rank));
  const parts = await compileProgram({
    trace: (lengths, dynamic) =>
      withLengths(dynamic, () => trace((tensors) => source.run(tensors), specs(lengths))).catch((error) => {
        const inner = axes.find(({ axis }) => axis > 0);
        throw inner && error instanceof RefusedError ? new UserError(`${error.message}; ${inner.advice}`) : error;
      }),
    weightNames: () => source.weightNames(),
    build: (g: Graph, lengths: readonly number[], network: (values: Value[]) => Value[]) => {
      const values = specs(lengths).map(({ shape, dtype }, i) =>
        g.input(inputs[i].name, dtype, shape, at(shape.length)),
      );
      return { inputs: values, outputs: network(values).map((value) => g.as(value, at(value.shape.length))) };
    },
    outputNames: options.outputNames ?? source.outputNames,
    target: { opset, lrn, finite: true, freeLengths: axes.some(({ axis }) => axis > 0) },
    axes: axes.map((axis) => ({ ...axis, axis: at(inputs[axis.input].shape.length).indexOf(axis.axis) })),
  });
  const described = options.classifier && { [CLASSIFIER_KEY]: JSON.stringify(options.classifier) };
  const props = Object.entries({ ...described, ...metadata }).map(([key, value]) => ({ key, value }));
  const model = new OnnxModel({ ...parts, graphName: options.name ?? source.name, metadata: props });
  if (options.classifier) checkClassifier(options.classifier, model.parts);
  return model;
}
