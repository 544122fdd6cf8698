/** Computes what does not depend on an input once and for all, with onnxruntime itself. */

import { encodeModel } from '../../onnx/file/proto.js';
import type { Constant, ElementType, GraphNode, Numbers, Value } from '../../onnx/graph.js';
import { LOOP_BEGIN } from '../../onnx/lowerings/loop.js';
import * as ort from '../../onnx/onnxruntime.js';

/** What `foldConstants` changes. */
interface Foldable {
  nodes: GraphNode[];
  initializers: Map<string, Constant>;
  outputs: readonly Value[];
}

/** The nodes that are left; results of the others join `initializers`, named after the layer that computed them. */
export async function foldConstants({ nodes, initializers, outputs }: Foldable, opset: number): Promise<GraphNode[]> {
  const constant = new Set(initializers.keys());
  const [folded, left]: [GraphNode[], GraphNode[]] = [[], []];
  const isOutput = new Set(outputs.map((value) => value.name));
  for (const node of nodes) {
    const isConstant =
      node.inputs.length > 0 && // random numbers and the like have none
      node.op !== LOOP_BEGIN && // what a round starts with changes
      node.inputs.every((value) => !value || constant.has(value.name)) &&
      node.outputs.every((value) => !isOutput.has(value.name));
    (isConstant ? folded : left).push(node);
    if (isConstant) for (const output of node.outputs) constant.add(output.name);
  }
  if (folded.length === 0) return left;
  const read = new Set(left.flatMap((node) => node.inputs.map((value) => value?.name)));
  const results = folded.flatMap((node) => node.outputs.filter((value) => read.has(value.name)));
  const model = encodeModel({
    graphName: 'constants',
    opset,
    nodes: folded,
    initializers,
    inputs: [],
    outputs: results,
  });
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  try {
    const values = await session.run({});
    for (const { scope, outputs } of folded) {
      for (const { name, dtype, dims } of outputs) {
        if (!read.has(name)) continue;
        const data = toNumbers(dtype, values[name].data);
        initializers.set(name, { dtype, dims, data, origin: `${scope || 'graph'}/constant` });
      }
    }
  } finally {
    await session.release();
  }
  return left;
}

function toNumbers(dtype: ElementType, data: ort.Tensor['data']): Numbers {
  return dtype === 'int64' ? Array.from(data as BigInt64Array, Number) : (data as Float32Array);
}
