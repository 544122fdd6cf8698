/** Where the operations of a graph stand in its image. */
import { type GraphLabel, Graph as Layout, layout } from '@dagrejs/dagre';
import { type Kind, kindOf } from '../inside/kind.js';
import { shape } from '../parts/numbers.js';
import type { Graph } from '../server/answers.js';

export interface Box {
  /** Operation, or the name of what goes in or out; then what it holds. */
  lines: string[];
  kind: Kind | 'end';
  /** Middle, pixels. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Arrow {
  points: { x: number; y: number }[];
  /** Shape of what flows, if it is known. */
  label?: string;
  /** Middle of the label, if there is one. */
  x: number;
  y: number;
}

/** Around the operations of a layer. */
export interface Group {
  name: string;
  /** Top left. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Placed {
  boxes: Box[];
  groups: Group[];
  arrows: Arrow[];
  width: number;
  height: number;
}

const LINE_PX = 16;
const CHARACTER_PX = 6.7;
const PADDING_PX = 9;

export function placeGraph({ inputs, outputs, nodes, initializers, layers }: Graph): Placed {
  const graph = new Layout<GraphLabel, Box, Partial<Arrow>>();
  graph.setGraph({ rankdir: 'TB', nodesep: 18, ranksep: 30, marginx: 90, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  const stored = new Map(initializers.map(({ name, dims }) => [name, dims]));
  const makers = new Map<string, { id: string; shape?: (number | string)[] }>();
  const add = (id: string, kind: Box['kind'], lines: string[]) => graph.setNode(id, boxOf(kind, lines));
  const connect = (value: string, to: string) => {
    const from = makers.get(value);
    if (from) graph.setEdge(from.id, to, labelOf(from.shape && shape(from.shape)));
  };
  for (const { name, shape: lengths } of inputs.filter((input) => !stored.has(input.name))) {
    add(`in ${name}`, 'end', [name]);
    makers.set(name, { id: `in ${name}`, shape: lengths });
  }
  for (const [i, node] of nodes.entries()) {
    for (const output of node.outputs) makers.set(output, { id: `${i}`, shape: node.shape });
    add(`${i}`, kindOf(node), [node.op, ...heldBy(node.inputs, stored)]);
  }
  for (const [i, { inputs: names }] of nodes.entries()) for (const name of names) connect(name, `${i}`);
  for (const { name } of outputs) {
    add(`out ${name}`, 'end', [name]);
    connect(name, `out ${name}`);
  }
  layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    groups: groupsOf(layers, (value) => {
      const maker = makers.get(value);
      return maker && graph.node(maker.id);
    }),
    boxes: graph.nodes().map((id) => graph.node(id)),
    arrows: graph.edges().map((edge) => graph.edge(edge) as Arrow),
    width,
    height,
  };
}

const AROUND_PX = 5;

function groupsOf(layers: Graph['layers'], boxOfValue: (value: string) => Box | undefined): Group[] {
  return Object.entries(layers).flatMap(([name, values]) => {
    const boxes = values.map(boxOfValue).filter((box) => box !== undefined);
    if (boxes.length === 0) return [];
    const [left, top] = [Math.min(...boxes.map(leftOf)), Math.min(...boxes.map(topOf))];
    const right = Math.max(...boxes.map((box) => leftOf(box) + box.width));
    const bottom = Math.max(...boxes.map((box) => topOf(box) + box.height));
    const [x, y] = [left - AROUND_PX, top - AROUND_PX];
    return [{ name, x, y, width: right - left + 2 * AROUND_PX, height: bottom - top + 2 * AROUND_PX }];
  });
}

const leftOf = ({ x, width }: Box) => x - width / 2;
const topOf = ({ y, height }: Box) => y - height / 2;

/** Of stored tensors; below, they are lengths, places and other settings. */
const WEIGHTS = 16;

/** Weights and biases, with their lengths. */
function heldBy(inputs: readonly string[], stored: ReadonlyMap<string, number[]>): string[] {
  return inputs.flatMap((input) => {
    const dims = stored.get(input);
    return dims && dims.reduce((size, length) => size * length, 1) >= WEIGHTS
      ? [`${input.split('/').at(-1)} ${shape(dims)}`]
      : [];
  });
}

function boxOf(kind: Box['kind'], lines: string[]): Box {
  const longest = Math.max(...lines.map(({ length }) => length));
  return {
    kind,
    lines,
    x: 0,
    y: 0,
    width: Math.max(longest * CHARACTER_PX + 2 * PADDING_PX, 60),
    height: lines.length * LINE_PX + PADDING_PX,
  };
}

function labelOf(label: string | undefined) {
  return { label, width: label ? label.length * CHARACTER_PX : 0, height: label ? LINE_PX : 0, labelpos: 'c' };
}
