/** What edits of a model in memory share. */
type ModelProto = import('onnx-proto').onnx.IModelProto;
type GraphProto = import('onnx-proto').onnx.IGraphProto;

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
