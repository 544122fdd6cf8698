/**
 * Loops of TensorFlow 1, written as frames of nodes (`Enter`, `Merge`, `LoopCond`, `Switch`, `NextIteration`, `Exit`),
 * as those of TensorFlow 2: a `StatelessWhile` that calls two functions.
 */

/** A node of a graph, as `model.json` holds it. */
export interface NodeDef {
  name: string;
  op: string;
  input?: string[];
  attr?: Record<string, { s?: unknown; b?: boolean; [key: string]: unknown }>;
}

export interface GraphDef {
  node: NodeDef[];
  library?: { function?: object[] };
  versions?: object;
}

/** A value that a loop carries, by the nodes it passes in a round. */
interface Variable {
  merge: NodeDef;
  enter: NodeDef;
  next: NodeDef;
}

/** The same graph with functions in place of frames. */
export function framesAsFunctions(graph: GraphDef): GraphDef {
  const frame = innerFrame(graph);
  return frame ? framesAsFunctions(withoutFrame(graph, frame)) : graph;
}

const sourceOf = (input: string) => input.replace(/^\^/, '').replace(/:.*/, '');
const isControl = (input: string) => input.startsWith('^');
const frameOf = ({ attr }: NodeDef) => JSON.stringify(attr?.frame_name?.s);

/** The nodes of a frame without others in it; undefined if the graph has no frame. */
function innerFrame({ node: nodes }: GraphDef): Set<NodeDef> | undefined {
  const readers = new Map<string, NodeDef[]>();
  for (const node of nodes) readers.set(node.name, []);
  for (const node of nodes) for (const input of node.input ?? []) readers.get(sourceOf(input))?.push(node);
  const enters = nodes.filter(({ op }) => op === 'Enter');
  for (const name of new Set(enters.map(frameOf))) {
    const frame = new Set(enters.filter((enter) => frameOf(enter) === name));
    for (const node of frame)
      if (node.op !== 'Exit') for (const reader of readers.get(node.name) ?? []) frame.add(reader);
    if ([...frame].every((node) => node.op !== 'Enter' || frameOf(node) === name)) return frame;
  }
  return undefined;
}

function withoutFrame(graph: GraphDef, frame: ReadonlySet<NodeDef>): GraphDef {
  const byName = new Map(graph.node.map((node) => [node.name, node]));
  const inputOf = (node: NodeDef, at: number) => byName.get(sourceOf(node.input![at]))!;
  const inFrame = [...frame];
  const condition = inFrame.find(({ op }) => op === 'LoopCond')!;
  const variables = inFrame.flatMap((merge): Variable[] => {
    const [enter, next] = merge.op === 'Merge' ? [inputOf(merge, 0), inputOf(merge, 1)] : [];
    return enter && next?.op === 'NextIteration' ? [{ merge, enter, next }] : [];
  });
  const entered = new Set(variables.map(({ enter }) => enter));
  const constants = inFrame.filter((node) => node.op === 'Enter' && !entered.has(node));
  const args = [...variables.map(({ merge }) => merge), ...constants];
  const switches = new Map(
    inFrame.flatMap((node) => {
      const isOwn = node.op === 'Switch' && inputOf(node, 1) === condition;
      const from = isOwn ? variables.find(({ merge }) => merge === inputOf(node, 0)) : undefined;
      return from ? [[node, from.merge.name] as const] : [];
    }),
  );
  const functionFor = (name: string, results: readonly string[]) =>
    functionOf({ name, results, args, switches, byName });
  const { name } = condition;
  const body = functionFor(`${name}/body`, [
    ...variables.map(({ next }) => next.input![0]),
    ...constants.map((enter) => enter.name),
  ]);
  const cond = functionFor(`${name}/cond`, [condition.input![0]]);
  const loop: NodeDef = {
    name,
    op: 'StatelessWhile',
    input: [...variables.map(({ enter }) => enter), ...constants].map((enter) => enter.input![0]),
    attr: { body: { func: { name: `${name}/body` } }, cond: { func: { name: `${name}/cond` } } },
  };
  const exits = inFrame.flatMap((exit): NodeDef[] => {
    const from = exit.op === 'Exit' && switches.get(inputOf(exit, 0));
    const at = variables.findIndex(({ merge }) => merge.name === from);
    return from ? [{ ...exit, op: 'Identity', input: [`${name}:${at}`] }] : [];
  });
  return {
    ...graph,
    node: withoutUnread([...outside(graph.node, frame), loop, ...exits], graph.node),
    library: { function: [...(graph.library?.function ?? []), body, cond] },
  };
}

/** Nodes that are not in the frame, waiting for none that is. */
function outside(nodes: readonly NodeDef[], frame: ReadonlySet<NodeDef>): NodeDef[] {
  const gone = new Set([...frame].map(({ name }) => name));
  const waits = (input: string) => isControl(input) && gone.has(sourceOf(input));
  return nodes
    .filter((node) => !frame.has(node))
    .map((node) => ({ ...node, input: node.input?.filter((input) => !waits(input)) }));
}

/** Without constants that only functions read: without a reader a node is an output. */
function withoutUnread(nodes: readonly NodeDef[], before: readonly NodeDef[]): NodeDef[] {
  const readIn = (some: readonly NodeDef[]) => new Set(some.flatMap(({ input }) => (input ?? []).map(sourceOf)));
  const [was, is] = [readIn(before), readIn(nodes)];
  return nodes.filter(({ op, name }) => op !== 'Const' || is.has(name) || !was.has(name));
}

interface FunctionParts {
  name: string;
  results: readonly string[];
  args: readonly NodeDef[];
  /** Name of the argument that a `Switch` of the loop passes on. */
  switches: ReadonlyMap<NodeDef, string>;
  byName: ReadonlyMap<string, NodeDef>;
}

/** A function that computes `results` from the frame's values, which keep their names. */
function functionOf({ name, results, args, switches, byName }: FunctionParts): object {
  const isArg = new Set(args.map((arg) => arg.name));
  const renamed = (input: string) => switches.get(byName.get(sourceOf(input))!) ?? input;
  const nodes = new Map<string, NodeDef>();
  for (const open = results.map(renamed); open.length > 0; ) {
    const source = sourceOf(open.pop()!);
    if (isArg.has(source) || nodes.has(source)) continue;
    const node = byName.get(source)!;
    const input = (node.input ?? []).filter((one) => !isControl(one)).map(renamed);
    nodes.set(source, { ...node, input });
    open.push(...input);
  }
  const ends = results.map((result, i) => ({ name: `${name}/result${i}`, op: 'Identity', input: [renamed(result)] }));
  return {
    signature: {
      name,
      inputArg: args.map((arg) => ({ name: arg.name, type: 'DT_FLOAT' })),
      outputArg: ends.map((_, i) => ({ name: `result${i}`, type: 'DT_FLOAT' })),
    },
    nodeDef: [...nodes.values(), ...ends],
    ret: Object.fromEntries(ends.map((end, i) => [`result${i}`, end.name])),
  };
}
