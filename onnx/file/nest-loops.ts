/**
 * Loops as ONNX has them. A graph in the making is one list of nodes; what depends on a `LoopBegin` and leads to its
 * `Loop` becomes that node's body, which reads all else from the graph around it.
 */
import type { GraphNode, Value } from '../graph.js';
import { LOOP_BEGIN } from '../lowerings/loop.js';

/** What a `Loop` does in each round. */
export interface NestedGraph {
  nodes: readonly NestedNode[];
  /** Number of the round, whether it takes place, values at its start. */
  inputs: readonly Value[];
  /** Whether there is another, values at its end. */
  outputs: readonly Value[];
  /** The values that the outputs are, maybe by copies. */
  results: readonly Value[];
}

export interface NestedNode extends GraphNode {
  readonly body?: NestedGraph;
}

/** The same graph, with the nodes of each loop inside it. */
export function nestLoops(nodes: readonly GraphNode[]): readonly NestedNode[] {
  // Inner loops end before outer ones.
  const ends = nodes.filter(({ op }) => op === 'Loop');
  return ends.reduce<readonly NestedNode[]>(nestLoop, nodes);
}

function nestLoop(nodes: readonly NestedNode[], end: GraphNode): NestedNode[] {
  const [round, ...results] = end.inputs as Value[];
  const begin = nodes.find((node) => node.op === LOOP_BEGIN && node.outputs[0].name === round.name)!;
  const inside = new Set(begin.outputs.map(({ name }) => name));
  const body: NestedNode[] = [];
  for (const node of nodes) {
    if (node === begin || node === end || !readBy(node).some((name) => inside.has(name))) continue;
    body.push(node);
    for (const { name } of node.outputs) inside.add(name);
  }
  const { copies, outputs } = ownOutputs(nodes, end, body, results);
  const loop: NestedNode = {
    ...end,
    inputs: [undefined, ...begin.inputs], // no limit to the rounds
    attributes: {},
    body: { nodes: [...body, ...copies], inputs: begin.outputs, outputs, results },
  };
  const moved = new Set(body).add(begin);
  return nodes.flatMap((node) => (moved.has(node) ? [] : [node === end ? loop : node]));
}

/** Names of the values that a node reads, those of its body too. */
function readBy({ inputs, body }: NestedNode): string[] {
  const names = inputs.flatMap((value) => (value ? [value.name] : []));
  return body ? [...names, ...body.nodes.flatMap(readBy), ...body.outputs.map(({ name }) => name)] : names;
}

/** A body's outputs: each computed by a node of its own, if need be one that copies. */
function ownOutputs(
  nodes: readonly NestedNode[],
  end: GraphNode,
  body: readonly NestedNode[],
  results: readonly Value[],
): { copies: NestedNode[]; outputs: Value[] } {
  const taken = new Set(nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs].map((value) => value?.name)));
  const free = new Set(body.flatMap((node) => node.outputs.map(({ name }) => name)));
  const copies: NestedNode[] = [];
  const outputs = results.map((value, i): Value => {
    if (free.delete(value.name)) return value;
    let name = i === 0 ? `${end.outputs[0].name}.again` : `${end.outputs[i - 1].name}.next`;
    while (taken.has(name)) name += '_';
    taken.add(name);
    const copy = { ...value, name };
    copies.push({ op: 'Identity', domain: '', inputs: [value], outputs: [copy], attributes: {}, scope: end.scope });
    return copy;
  });
  return { copies, outputs };
}
