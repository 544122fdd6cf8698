/**
 * A structural check of ONNX models, for what onnxruntime does not refuse and other programs do: names, order, types
 * and lengths, operators and attributes that the file's operator set has not.
 */
import { isExternal } from '../../onnx/file/external-data.js';
import { describeNode } from '../../onnx/file/onnx-graph.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { irVersion } from '../../onnx/file/proto.js';
import { ATTRIBUTES, OPERATORS, REMOVED_ATTRIBUTES, REMOVED_OPERATORS } from './operator-versions.js';

const { DataType } = onnx.TensorProto;
type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;
type TensorProto = onnx.ITensorProto;
type ValueInfo = onnx.IValueInfoProto;

/** Bytes of one element in `raw_data`. */
const ELEMENT_BYTES: Record<number, number> = {
  [DataType.FLOAT]: 4,
  [DataType.UINT8]: 1,
  [DataType.INT8]: 1,
  [DataType.UINT16]: 2,
  [DataType.INT16]: 2,
  [DataType.INT32]: 4,
  [DataType.INT64]: 8,
  [DataType.BOOL]: 1,
  [DataType.FLOAT16]: 2,
  [DataType.DOUBLE]: 8,
  [DataType.UINT32]: 4,
  [DataType.UINT64]: 8,
  [DataType.BFLOAT16]: 2,
};

const [since, removed, attributeSince, attributeRemoved] = [
  OPERATORS,
  REMOVED_OPERATORS,
  ATTRIBUTES,
  REMOVED_ATTRIBUTES,
].map(byName);

/** Newest operator set that the tables describe. */
const NEWEST = Math.max(...Object.keys(OPERATORS).map(Number));

function byName(table: Record<number, string>): Map<string, number> {
  return new Map(
    Object.entries(table).flatMap(([opset, names]) => names.split(' ').map((name) => [name, Number(opset)] as const)),
  );
}

/** Everything that is wrong with a model, a sentence each; empty if nothing is. */
export function checkModel(model: ModelProto): string[] {
  const opsets = new Map((model.opsetImport ?? []).map(({ domain, version }) => [domain || '', Number(version)]));
  const problems: string[] = [];
  if (!model.graph) return ['the model has no graph'];
  if (opsets.size === 0) problems.push('the model names no operator set');
  const opset = opsets.get('');
  const ir = Number(model.irVersion ?? 0);
  if (opset !== undefined && opset <= 22 && opset >= 13 && ir < irVersion(opset))
    problems.push(`IR version ${ir} is too low for operator set ${opset}, which needs ${irVersion(opset)}`);
  checkGraph(model.graph, opsets, new Set(), ir, problems);
  return problems;
}

function checkGraph(
  graph: GraphProto,
  opsets: ReadonlyMap<string, number>,
  outer: ReadonlySet<string>,
  ir: number,
  problems: string[],
): void {
  const known = new Set(outer);
  const inputs = (graph.input ?? []).map(({ name }) => name ?? '');
  for (const value of graph.input ?? []) checkInfo('input', value, problems);
  for (const name of inputs) addOnce(known, name, 'input', problems);
  for (const tensor of graph.initializer ?? []) {
    const name = tensor.name ?? '';
    // Before IR 4 stored tensors were inputs with a default.
    if (!inputs.includes(name)) addOnce(known, name, 'initialiser', problems);
    else if (known.has(`=${name}`)) problems.push(`initialiser "${name}" is there twice`);
    known.add(`=${name}`);
    checkTensor(tensor, problems);
  }
  const made = new Set((graph.node ?? []).flatMap((node) => node.output ?? []));
  const names = new Set<string>();
  const read = new Set<string>((graph.output ?? []).map(({ name }) => name ?? ''));
  for (const node of graph.node ?? []) {
    const where = describeNode(node);
    if (node.name && names.has(node.name)) problems.push(`two nodes are called "${node.name}"`);
    names.add(node.name ?? '');
    for (const name of node.input ?? []) {
      if (name === '') continue;
      read.add(name);
      if (!known.has(name))
        problems.push(
          `${where} reads "${name}", which ${made.has(name) ? 'only a later node computes' : 'nothing computes'}`,
        );
    }
    checkOperator(node, opsets, where, problems);
    for (const { name, g, graphs } of node.attribute ?? []) {
      for (const inner of [...(g ? [g] : []), ...(graphs ?? [])]) {
        checkGraph(inner, opsets, known, ir, problems);
        for (const value of outerValues(inner)) read.add(value);
      }
      if (!name) problems.push(`${where} has an attribute without a name`);
    }
    for (const name of node.output ?? []) if (name !== '') addOnce(known, name, `output of ${where}`, problems);
  }
  for (const value of graph.output ?? []) {
    if (outer.size === 0) checkInfo('output', value, problems);
    if (!known.has(value.name ?? '')) problems.push(`nothing computes the output "${value.name}"`);
  }
  for (const { name } of graph.initializer ?? []) {
    if (!read.has(name ?? '')) problems.push(`nothing reads the initialiser "${name}"`);
  }
}

function addOnce(known: Set<string>, name: string, what: string, problems: string[]): void {
  if (known.has(name)) problems.push(`${what} "${name}": there is another value of that name`);
  known.add(name);
}

/** Names that a subgraph reads, its own among them. */
function outerValues({ node, output }: GraphProto): string[] {
  const inner = (node ?? []).flatMap((n) => (n.attribute ?? []).flatMap(({ g }) => (g ? outerValues(g) : [])));
  return [...(node ?? []).flatMap((n) => n.input ?? []), ...(output ?? []).map(({ name }) => name ?? ''), ...inner];
}

function checkInfo(what: string, { name, type }: ValueInfo, problems: string[]): void {
  if (!name) problems.push(`an ${what} has no name`);
  if (!type) problems.push(`${what} "${name}" has no type`);
  else if (type.tensorType && !type.tensorType.elemType) problems.push(`${what} "${name}" has no element type`);
  else if (type.tensorType && !type.tensorType.shape) problems.push(`${what} "${name}" has no shape`);
}

function checkTensor(tensor: TensorProto, problems: string[]): void {
  const { name, dataType } = tensor;
  const bytes = ELEMENT_BYTES[dataType ?? 0];
  if (!dataType) problems.push(`initialiser "${name}" has no element type`);
  if (bytes === undefined) return;
  const dims = (tensor.dims ?? []).map(Number);
  const elements = dims.reduce((product, length) => product * length, 1);
  const raw = isExternal(tensor)
    ? Number(tensor.externalData?.find(({ key }) => key === 'length')?.value ?? elements * bytes)
    : tensor.rawData?.length;
  const typed = [tensor.floatData, tensor.int32Data, tensor.int64Data, tensor.doubleData, tensor.uint64Data];
  const count = raw ? raw / bytes : Math.max(...typed.map((data) => data?.length ?? 0));
  if (count !== elements)
    problems.push(
      `initialiser "${name}": expected ${elements} elements of ${DataType[dataType!]} for [${dims.join(', ')}], got ${count}`,
    );
}

function checkOperator(node: NodeProto, opsets: ReadonlyMap<string, number>, where: string, problems: string[]): void {
  const domain = node.domain === 'ai.onnx' ? '' : (node.domain ?? '');
  const opset = opsets.get(domain);
  if (opset === undefined) problems.push(`${where}: the model names no operator set of domain "${domain}"`);
  if (domain !== '' || opset === undefined || opset > NEWEST) return;
  const op = node.opType ?? '';
  const first = since.get(op);
  const gone = removed.get(op);
  if (first === undefined) problems.push(`${where}: ONNX has no operator ${op}`);
  else if (opset < first) problems.push(`${where}: ${op} exists from operator set ${first} on, the model has ${opset}`);
  else if (gone !== undefined && opset >= gone) problems.push(`${where}: ${op} was removed in operator set ${gone}`);
  for (const { name } of node.attribute ?? []) {
    const [from, until] = [attributeSince, attributeRemoved].map((table) => table.get(`${op}.${name}`));
    if (from !== undefined && opset < from)
      problems.push(`${where}: attribute ${name} exists from operator set ${from} on, the model has ${opset}`);
    if (until !== undefined && opset >= until)
      problems.push(`${where}: attribute ${name} was removed in operator set ${until}, the model has ${opset}`);
  }
}
