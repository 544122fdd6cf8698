/** What edits of a model in memory share. */
import { onnx } from '../file/onnx-proto.js';

const { INT } = onnx.AttributeProto.AttributeType;

type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;
type TensorProto = onnx.ITensorProto;

export const isOnnx = ({ domain }: { domain?: string | null }) => !domain || domain === 'ai.onnx';

/** Of ONNX's own operators. */
export const opsetOf = ({ opsetImport }: ModelProto) => Number(opsetImport?.find(isOnnx)?.version ?? 0);

/** The operators of ONNX's own domain mean what ONNX says: none is replaced by a function of the model. */
export function hasOnnxOperators(model: ModelProto, lowestOpset: number): boolean {
  return opsetOf(model) >= lowestOpset && !model.functions?.some(isOnnx);
}

/** Makes names that no value of the graph or its subgraphs has. */
export function freshNames(graph: GraphProto): (wanted: string) => string {
  const taken = new Set(allNames(graph));
  return (wanted) => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
}

function* allNames({ node, initializer, sparseInitializer, input }: GraphProto): Generator<string> {
  for (const { name } of [...(initializer ?? []), ...(input ?? [])]) yield name ?? '';
  for (const { values } of sparseInitializer ?? []) yield values?.name ?? '';
  for (const { output, attribute } of node ?? []) {
    yield* output ?? [];
    for (const { g, graphs } of attribute ?? [])
      for (const inner of [g, ...(graphs ?? [])]) if (inner) yield* allNames(inner);
  }
}

/** From it on `Split` has to be told how many parts it makes. */
const NUM_OUTPUTS_OPSET = 18;

/** Equal parts of a value along an axis. */
export function splitNode(
  value: string,
  output: string[],
  axis: number,
  opset: number,
): NodeProto & { output: string[] } {
  const attribute = [{ name: 'axis', type: INT, i: axis }];
  if (opset >= NUM_OUTPUTS_OPSET) attribute.push({ name: 'num_outputs', type: INT, i: output.length });
  return { opType: 'Split', name: output[0], input: [value], output, attribute };
}

/** Nodes that take the place of one, named after what it gives, and their constants. */
export class Replacement {
  readonly nodes: NodeProto[] = [];

  /**
   * @param initializer  of the graph; gains the constants
   * @param fresh        see `freshNames`
   */
  constructor(
    private readonly result: string,
    private readonly initializer: TensorProto[],
    private readonly fresh: (wanted: string) => string,
  ) {}

  constant(part: string, dataType: number, dims: number[], values: ArrayBufferView): string {
    const name = this.fresh(`${this.result}/${part}`);
    const rawData = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    this.initializer.push({ name, dims, dataType, rawData });
    return name;
  }

  /** @returns the name of what the node gives */
  node(part: string, opType: string, input: string[], attribute?: NodeProto['attribute']): string {
    return this.add(this.fresh(`${this.result}/${part}`), opType, input, attribute);
  }

  /** The last: it gives what the replaced one gave. */
  end(opType: string, input: string[], attribute?: NodeProto['attribute']): NodeProto[] {
    this.add(this.result, opType, input, attribute);
    return this.nodes;
  }

  private add(output: string, opType: string, input: string[], attribute: NodeProto['attribute']): string {
    this.nodes.push({ opType, name: output, input, output: [output], ...(attribute && { attribute }) });
    return output;
  }
}
