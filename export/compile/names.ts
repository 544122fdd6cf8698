/**
 * Names in exported files: the value a layer ends with is named after the layer, what leads to it `layer.operator`, and
 * a stored tensor as the weight it came from, so that one search finds a tensor in code, checkpoint and graph.
 */
import type { Constant, GraphNode, Value } from '../../onnx/graph.js';

/** Nodes, stored tensors, inputs and outputs under their final names. */
export interface NamedGraph {
  nodes: GraphNode[];
  initializers: Map<string, Constant>;
  inputs: Value[];
  outputs: Value[];
  /** Final name by name in the graph. */
  names: ReadonlyMap<string, string>;
}

/** @param outputNames  names of the file's outputs, which come before a layer's name */
export function nameGraph(
  nodes: readonly GraphNode[],
  initializers: ReadonlyMap<string, Constant>,
  inputs: readonly Value[],
  outputs: readonly Value[],
  outputNames: readonly string[],
): NamedGraph {
  const names = new Map<string, string>(inputs.map((value) => [value.name, value.name]));
  const taken = new Set([...names.values(), ...outputNames]);
  const give = (old: string, wanted: string) => {
    let name = wanted;
    for (let n = 2; taken.has(name); n++) name = `${wanted}.${n}`;
    taken.add(name);
    names.set(old, name);
  };
  outputs.forEach((value, i) => {
    names.set(value.name, outputNames[i]);
  });
  const lastOf = new Map<string, string>();
  for (const node of nodes) for (const value of node.outputs) lastOf.set(node.scope, value.name);
  for (const node of nodes) {
    for (const { name } of node.outputs) {
      if (names.has(name)) continue;
      const ends = node.scope !== '' && lastOf.get(node.scope) === name;
      give(name, ends ? node.scope : `${node.scope || 'graph'}.${node.op.toLowerCase()}`);
    }
  }
  for (const node of nodes) {
    for (const input of node.inputs) {
      if (input && !names.has(input.name)) give(input.name, initializers.get(input.name)?.origin ?? input.name);
    }
  }
  const rename = (value: Value): Value => ({ ...value, name: names.get(value.name)! });
  return {
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => value && rename(value)),
      outputs: node.outputs.map(rename),
    })),
    initializers: new Map(
      [...initializers].filter(([name]) => names.has(name)).map(([name, data]) => [names.get(name)!, data]),
    ),
    inputs: inputs.map(rename),
    outputs: outputs.map(rename),
    names,
  };
}
