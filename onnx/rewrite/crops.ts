/**
 * Crops a few at a time on the CPU provider: what ten of them need between two layers is more than the processor's cache
 * holds and much of what a server keeps in memory.
 *   features = network(crops)  →  features = Concat(network(part 1), …, network(part n)),  parts = Split(crops)
 * up to the first operator that may mix crops, so that the large matrices behind are read once for all. Answers stay the
 * same, bit for bit.
 */
import { onnx } from '../file/onnx-proto.js';
import { freshNames, hasOnnxOperators, isOnnx, opsetOf, splitNode } from './editing.js';

const { INT } = onnx.AttributeProto.AttributeType;
type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;

/** As the file names what is cut, [crops · N, …]. */
const CROPS = 'crops';
/** First in which `Split` makes equal parts without being told their lengths. */
const LOWEST_OPSET = 2;
/**
 * Each crop's result depends on that crop alone, whatever else is in the batch; with stored other inputs. Not Cast: with
 * float16, what onnxruntime rounds in between depends on where the parts are joined.
 */
const APART = new Set(
  (
    'Conv Relu MaxPool AveragePool BatchNormalization LRN Clip Mul Add Div Sqrt Pow MatMul Transpose QuantizeLinear ' +
    'DequantizeLinear'
  ).split(' '),
);

/** Of as many parts as leave each thread a crop. */
export function partsOf(crops: number, threads: number): number {
  for (let size = threads; size < crops; size++) if (crops % size === 0) return crops / size;
  return 1;
}

/**
 * @param parts  a divisor of the number of crops
 * @returns      `model` itself, which is not changed, if it cuts no crops or there is nothing to be gained
 */
export function splitCrops(model: ModelProto, parts: number): ModelProto {
  const graph = model.graph ?? {};
  const cutting = graph.node?.find(({ output }) => output?.[0] === CROPS);
  if (parts < 2 || !cutting || !hasOnnxOperators(model, LOWEST_OPSET)) return model;
  const nodes = nodesApart(graph);
  const [features, ...others] = readBehind(graph, nodes);
  if (features === undefined || features === CROPS || others.length > 0) return model;
  const fresh = freshNames(graph);
  const names = Array.from({ length: parts }, (_, i) => fresh(`${CROPS}/part_${i}`));
  const split = splitNode(CROPS, names, 0, opsetOf(model));
  const copies = names.map((part) => copyOf(nodes, part, fresh));
  const results = copies.map(({ named }) => named.get(features)!);
  const joined = {
    opType: 'Concat',
    name: features,
    input: results,
    output: [features],
    attribute: [{ name: 'axis', type: INT, i: 0 }],
  };
  const all = [split, ...copies.flatMap((copy) => copy.nodes), joined];
  // In the place of the first, when all that they read is there: constants may be decoded in between.
  const before = (graph.node ?? []).filter((node) => !nodes.has(node));
  const place = before.findIndex(({ input }) => input?.includes(features));
  const inside = new Set([...nodes].map(({ output }) => output?.[0]).filter((name) => name !== features));
  return {
    ...model,
    graph: {
      ...graph,
      node: before.toSpliced(place, 0, ...all),
      valueInfo: graph.valueInfo?.filter(({ name }) => !inside.has(name ?? '')),
    },
  };
}

/** The nodes behind the crops that treat each by itself, up to those that may not. */
function nodesApart({ node, initializer }: GraphProto): Set<NodeProto> {
  const inside = new Set([CROPS]);
  const stored = new Set(initializer?.map(({ name }) => name ?? ''));
  const apart = new Set<NodeProto>();
  for (const one of node ?? []) {
    const input = one.input ?? [];
    const { output } = one;
    if (input.length > 0 && input.every((name) => stored.has(name))) for (const name of output ?? []) stored.add(name);
    if (!treatsApart(one) || output?.length !== 1 || !input.some((name) => inside.has(name))) continue;
    if (!input.every((name) => inside.has(name) || stored.has(name) || name === '')) continue;
    apart.add(one);
    inside.add(output[0]);
  }
  return apart;
}

function treatsApart(node: NodeProto): boolean {
  const perm = node.attribute?.find(({ name }) => name === 'perm')?.ints ?? [];
  const keepsBatchFirst = node.opType !== 'Transpose' || (perm.length > 0 && Number(perm[0]) === 0);
  return isOnnx(node) && APART.has(node.opType ?? '') && keepsBatchFirst;
}

/** Results of these nodes that others read, or the graph gives; and the crops, if others read them. */
function readBehind({ node, output }: GraphProto, nodes: ReadonlySet<NodeProto>): string[] {
  const made = new Set([CROPS, ...[...nodes].map((one) => one.output?.[0] ?? '')]);
  const read = (node ?? []).filter((one) => !nodes.has(one)).flatMap(({ input }) => input ?? []);
  return [...new Set([...read, ...(output ?? []).map(({ name }) => name ?? '')])].filter((name) => made.has(name));
}

function copyOf(nodes: ReadonlySet<NodeProto>, part: string, fresh: (wanted: string) => string) {
  const named = new Map([[CROPS, part]]);
  const suffix = part.slice(CROPS.length);
  const copies = [...nodes].map((node) => {
    const input = node.input?.map((name) => named.get(name) ?? name);
    const result = fresh(`${node.output?.[0]}${suffix}`);
    named.set(node.output?.[0] ?? '', result);
    return { ...node, name: result, input, output: [result] };
  });
  return { nodes: copies, named };
}
