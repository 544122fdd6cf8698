/** Graph models in memory, made of TensorFlow nodes. */
import assert from 'node:assert/strict';
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import { checkModel } from '../../export/check/check-model.js';
import type { OnnxModel } from '../../export/index.js';
import { structureOf } from '../../onnx/file/proto.js';
import * as ort from '../../onnx/onnxruntime.js';

const FLOAT = { type: 'DT_FLOAT' };
export const INT = { type: 'DT_INT32' };

interface GraphNode {
  name: string;
  op: string;
  input: string[];
  attr: Record<string, object>;
}

/** A node whose type is float unless said otherwise. */
export const node = (name: string, op: string, input: string[], attr: Record<string, object> = {}): GraphNode => ({
  name,
  op,
  input,
  attr: { T: FLOAT, ...attr },
});

export const placeholder = (name: string, ...shape: number[]): GraphNode =>
  node(name, 'Placeholder', [], {
    dtype: FLOAT,
    shape: { shape: { dim: shape.map((size) => ({ size: String(size) })) } },
  });

/** A function of the graph: arguments, results by name, and nodes that read the arguments. */
export const graphFunction = (name: string, args: string[], results: Record<string, string>, nodes: GraphNode[]) => ({
  signature: {
    name,
    inputArg: args.map((arg) => ({ name: arg, type: 'DT_FLOAT' })),
    outputArg: Object.keys(results).map((result) => ({ name: result, type: 'DT_FLOAT' })),
  },
  nodeDef: nodes,
  ret: results,
});

/** Constants by name: a list is a float vector, a number an int scalar, a boxed number a float one. */
export function graphModel(
  nodes: GraphNode[],
  constants: Record<string, number[] | number | Float32Array>,
  functions: ReturnType<typeof graphFunction>[] = [],
): GraphModel {
  const weights = Object.entries(constants).map(([name, value]) => {
    const isInt = typeof value === 'number' || Array.isArray(value);
    const data = isInt ? Int32Array.from([value].flat()) : (value as Float32Array);
    const scalar = typeof value === 'number' || (!isInt && data.length === 1);
    const spec = { name, shape: scalar ? [] : [data.length], dtype: isInt ? ('int32' as const) : ('float32' as const) };
    return { spec, bytes: new Uint8Array(data.buffer) };
  });
  const stored = weights.map(({ spec }) =>
    node(spec.name, 'Const', [], { dtype: spec.dtype === 'int32' ? INT : FLOAT }),
  );
  const artifacts = {
    modelTopology: { node: [...nodes, ...stored], versions: { producer: 1 }, library: { function: functions } },
    weightSpecs: weights.map(({ spec }) => spec as tf.io.WeightsManifestEntry),
    weightData: Uint8Array.from(Buffer.concat(weights.map(({ bytes }) => bytes))).buffer,
    format: 'graph-model',
  };
  return tfc.loadGraphModelSync({ load: () => artifacts as never }) as GraphModel;
}

export const KEEP = { keep_dims: { b: false } };
export const BOOL = { T: { type: 'DT_BOOL' } };

export const FRAME = { frame_name: { s: 'bG9vcA==' }, is_constant: { b: false } };
export const CONSTANT = { ...FRAME, is_constant: { b: true } };

/** TensorFlow 1: x [?, 3], i = 0, y = x; while i < limit: i = i + 1, y = 2 y. Needs `counts`. */
export const frameLoop = (limit: string) => [
  placeholder('x', -1, 3),
  node('i/enter', 'Enter', ['start'], { T: INT, ...FRAME }),
  node('y/enter', 'Enter', ['x'], FRAME),
  node('limit/enter', 'Enter', [limit], { T: INT, ...CONSTANT }),
  node('one/enter', 'Enter', ['one'], { T: INT, ...CONSTANT }),
  node('two/enter', 'Enter', ['two'], CONSTANT),
  node('i/merge', 'Merge', ['i/enter', 'i/next'], { T: INT, N: { i: '2' } }),
  node('y/merge', 'Merge', ['y/enter', 'y/next'], { N: { i: '2' } }),
  node('less', 'Less', ['i/merge', 'limit/enter'], { T: INT }),
  node('again', 'LoopCond', ['less'], BOOL),
  node('i/switch', 'Switch', ['i/merge', 'again'], { T: INT }),
  node('y/switch', 'Switch', ['y/merge', 'again']),
  node('i/add', 'Add', ['i/switch:1', 'one/enter'], { T: INT }),
  node('y/double', 'Mul', ['y/switch:1', 'two/enter']),
  node('i/next', 'NextIteration', ['i/add'], { T: INT }),
  node('y/next', 'NextIteration', ['y/double']),
  node('y', 'Exit', ['y/switch']),
  node('result', 'Identity', ['y']),
];
export const counts = { start: 0, one: 1, three: 3, two: Float32Array.of(2) };

/** TensorFlow 1: x [?, 3], doubled as often as the sum of x says. */
export const countedLoop = (): GraphModel =>
  graphModel(
    [
      ...frameLoop('steps'),
      node('sum', 'Sum', ['x', 'axes'], { ...KEEP, Tidx: INT }),
      node('steps', 'Cast', ['sum'], { SrcT: FLOAT, DstT: INT }),
    ],
    { start: 0, one: 1, two: counts.two, axes: [0, 1] },
  );

export interface Result {
  dims: readonly number[];
  data: number[];
}

/** Values and shapes of float inputs by name. */
export type Fed = Record<string, [values: number[], dims: number[]]>;

/** What onnxruntime makes of a model's bytes, in the order of its outputs. */
export async function runFile(model: OnnxModel, feeds: Fed): Promise<Result[]> {
  const session = await ort.InferenceSession.create(model.encode());
  const tensors = Object.entries(feeds).map(
    ([name, [values, dims]]) => [name, new ort.Tensor('float32', Float32Array.from(values), dims)] as const,
  );
  const results = await session.run(Object.fromEntries(tensors));
  await session.release();
  return session.outputNames.map((name) => ({
    dims: results[name].dims,
    data: Array.from(results[name].data as Float32Array),
  }));
}

/** What tfjs makes of a model on its own cpu backend. */
export async function runInTfjs(model: GraphModel, feeds: Fed): Promise<Result[]> {
  await tf.setBackend('cpu');
  const tensors = Object.entries(feeds).map(([name, [values, dims]]) => [name, tf.tensor(values, dims)] as const);
  const results = [await model.executeAsync(Object.fromEntries(tensors))].flat();
  const read = results.map((tensor) => ({ dims: tensor.shape, data: Array.from(tensor.dataSync()) }));
  await tf.setBackend('onnxruntime');
  return read;
}

/** `StatelessWhile` that calls the functions `again` and `round`, or others. */
export const whileLoop = (name: string, inputs: string[], [again, round] = ['again', 'round']) =>
  node(name, 'StatelessWhile', inputs, {
    T: { list: { type: inputs.map(() => 'DT_FLOAT') } },
    cond: { func: { name: again } },
    body: { func: { name: round } },
  });

export const sum = (name: string, input: string, axes: string) =>
  node(name, 'Sum', [input, axes], { ...KEEP, Tidx: INT });
export const result = (input: string) => node('result', 'Identity', [input]);

/** Both give the same for every row of inputs, and the file is well-formed. */
export async function checkOn(source: GraphModel, exported: OnnxModel, fed: readonly Fed[]): Promise<number[][]> {
  assert.deepEqual(checkModel(structureOf(exported.parts)), []);
  const all: number[][] = [];
  for (const feeds of fed) {
    const [file, tfjs] = [await runFile(exported, feeds), await runInTfjs(source, feeds)];
    assert.deepEqual(
      file.map(({ dims }) => dims),
      tfjs.map(({ dims }) => dims),
    );
    file.forEach(({ data }, i) => {
      data.forEach((value, at) => {
        assert.ok(Math.abs(value - tfjs[i].data[at]) <= 1e-5 * Math.max(1, Math.abs(value)), `${value} at ${at}`);
      });
    });
    all.push(file[0].data);
  }
  return all;
}

/** x [?, 3] */
export const rows = (...values: number[]): Fed => ({ x: [values, [values.length / 3, 3]] });

/** less: Σ |y| < limit */
export const belowLimit = [
  node('size', 'Abs', ['y']),
  sum('total', 'size', 'axes'),
  node('less', 'Less', ['total', 'limit']),
];
