/** Graph models in memory, made of TensorFlow nodes. */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { tfc } from '../../base/tfjs/converter.js';
import type { tf } from '../../base/tfjs/core.js';

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
