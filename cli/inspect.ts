/** The command `alexnet inspect`: what an ONNX file of any origin holds. */
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { headed } from '../base/terminal.js';
import { checkModel } from '../export/check/check-model.js';
import { onnx } from '../onnx/file/onnx-proto.js';
import { endingOf } from '../onnx/file/output-ending.js';
import { readModel } from '../onnx/file/read-model.js';

const { DataType } = onnx.TensorProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;
type ValueInfo = onnx.IValueInfoProto;

/** Bits of an element; types that ONNX added later are counted without bytes. */
const BITS: Record<string, number> = {
  FLOAT: 32,
  UINT8: 8,
  INT8: 8,
  UINT16: 16,
  INT16: 16,
  INT32: 32,
  INT64: 64,
  BOOL: 8,
  FLOAT16: 16,
  DOUBLE: 64,
  UINT32: 32,
  UINT64: 64,
  BFLOAT16: 16,
};

export interface Inspection {
  file: string;
  /** Of the file itself, without tensors that lie outside. */
  bytes: number;
  ir: number;
  /** By domain; '' is ONNX's own. */
  opsets: Record<string, number>;
  producer: string;
  doc: string;
  graph: string;
  inputs: TensorType[];
  /** `ends_with`: what makes them probabilities, or logits, if the graph tells. */
  outputs: (TensorType & { ends_with?: string })[];
  /** Nodes, those of subgraphs included, and how many of each operator. */
  nodes: number;
  operators: Record<string, number>;
  /** Elements of the stored tensors, and elements and bytes by type. */
  parameters: number;
  types: Record<string, { elements: number; bytes: number }>;
  initializers: { name: string; type: string; dims: number[]; elements: number }[];
  metadata: Record<string, string>;
  /** Of the structure; see `checkModel`. */
  problems: string[];
  layers: { name: string; op: string; inputs: string[]; outputs: string[]; shape?: string }[];
}

interface TensorType {
  name: string;
  type: string;
  /** Lengths, or names of free ones. */
  dims: (number | string)[];
}

/** @throws {UserError} see `readModel` */
export async function inspect(file: string): Promise<Inspection> {
  const model = await readModel(file);
  const graph = model.graph!;
  const stored = new Set((graph.initializer ?? []).map(({ name }) => name));
  const nodes = allNodes(graph);
  const initializers = (graph.initializer ?? []).map(({ name, dims, dataType }) => {
    const lengths = (dims ?? []).map(Number);
    const elements = lengths.reduce((product, length) => product * length, 1);
    return { name: name ?? '', type: typeName(dataType), dims: lengths, elements };
  });
  const types: Inspection['types'] = {};
  for (const { type, elements } of initializers) {
    types[type] ??= { elements: 0, bytes: 0 };
    types[type].elements += elements;
    types[type].bytes += (elements * (BITS[type.toUpperCase()] ?? 0)) / 8;
  }
  const shapes = new Map(
    [...(graph.valueInfo ?? []), ...(graph.output ?? [])].map((info) => [info.name, tensorType(info).dims]),
  );
  return {
    file,
    bytes: (await stat(file)).size,
    ir: Number(model.irVersion ?? 0),
    opsets: Object.fromEntries((model.opsetImport ?? []).map(({ domain, version }) => [domain ?? '', Number(version)])),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    doc: model.docString ?? '',
    graph: graph.name ?? '',
    inputs: (graph.input ?? []).filter(({ name }) => !stored.has(name)).map(tensorType),
    outputs: (graph.output ?? []).map((info) => ({ ...tensorType(info), ends_with: endsWith(graph, info) })),
    nodes: nodes.length,
    operators: countOperators(nodes),
    parameters: initializers.reduce((sum, { elements }) => sum + elements, 0),
    types,
    initializers,
    metadata: Object.fromEntries((model.metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? ''])),
    problems: checkModel(model),
    layers: (graph.node ?? []).map(({ name, opType, input, output }) => ({
      name: name ?? '',
      op: opType ?? '',
      inputs: input ?? [],
      outputs: output ?? [],
      shape: shapes.get(output?.[0])?.join(', '),
    })),
  };
}

/** The last operator that tells what the numbers of an output are. */
function endsWith(graph: GraphProto, { name, type }: ValueInfo): string | undefined {
  const ending = type?.tensorType ? endingOf(graph, name ?? '') : undefined;
  if (!ending) return undefined;
  return `${ending.op}: ${ending.scaled ? 'probabilities times a constant' : MEANINGS[ending.kind]}`;
}

const MEANINGS = {
  softmax: 'probabilities that sum to 1',
  sigmoid: 'probabilities, each for itself',
  logSoftmax: 'logarithms of probabilities',
  logits: 'logits, no probabilities yet',
};

function allNodes({ node }: GraphProto): NodeProto[] {
  return (node ?? []).flatMap((one) => [one, ...(one.attribute ?? []).flatMap(({ g }) => (g ? allNodes(g) : []))]);
}

function countOperators(nodes: readonly NodeProto[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { domain, opType } of nodes) {
    const name = domain ? `${domain}.${opType}` : (opType ?? '');
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])));
}

function typeName(type: number | null | undefined): string {
  return DataType[type ?? 0]?.toLowerCase() ?? `type ${type}`;
}

function tensorType({ name, type }: ValueInfo): TensorType {
  const tensor = type?.tensorType;
  const dims = (tensor?.shape?.dim ?? []).map(({ dimParam, dimValue }) => dimParam || Number(dimValue ?? 0) || '?');
  return { name: name ?? '', type: tensor ? typeName(tensor.elemType) : 'no tensor', dims };
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Print what an ONNX file of any origin holds, and what is wrong with its structure.')
    .argument('<file>', '.onnx file')
    .option('--nodes', 'list every node', false)
    .option('--initializers', 'list every stored tensor', false)
    .option('--check', 'exit with 1 if something is wrong', false)
    .option('--json', 'print all of it as one JSON line', false)
    .action(async (file: string, flags: { nodes: boolean; initializers: boolean; check: boolean; json: boolean }) => {
      const found = await inspect(file);
      console.log(flags.json ? JSON.stringify(found) : headed(describeInspection(found, flags), /^\S.*/gm));
      if (flags.check && found.problems.length > 0) process.exitCode = 1;
    });
}

/** Longest value of metadata that is printed whole. */
const LONGEST = 100;
const LARGEST_SHOWN = 5;

function describeInspection(
  found: Inspection,
  { nodes, initializers }: { nodes: boolean; initializers: boolean },
): string {
  const opsets = Object.entries(found.opsets).map(([domain, version]) => (domain ? `${domain} ${version}` : version));
  const types = Object.entries(found.types).map(
    ([type, { elements, bytes }]) => `${count(elements)} ${type} (${(bytes / 1e6).toFixed(1)} MB)`,
  );
  const largest = [...found.initializers].sort((a, b) => b.elements - a.elements).slice(0, LARGEST_SHOWN);
  const tensors = (list: readonly TensorType[]) =>
    list.map(({ name, type, dims }) => [name, `${type} [${dims.join(', ')}]`]);
  const lines = [
    `${found.file}: ${(found.bytes / 1e6).toFixed(1)} MB, opset ${opsets.join(', ')}, IR ${found.ir}, by ${found.producer || 'an unnamed producer'}`,
    ...(found.doc ? [found.doc] : []),
    '',
    `graph ${found.graph}: ${found.nodes} nodes, ${count(found.parameters)} stored numbers: ${types.join(', ')}`,
    ...section('inputs', tensors(found.inputs)),
    ...section(
      'outputs',
      tensors(found.outputs).map((row, i) => [...row, found.outputs[i].ends_with ?? '']),
    ),
    ...section(
      'operators',
      Object.entries(found.operators).map(([op, n]) => [op, String(n)]),
    ),
    ...section(
      initializers ? 'stored tensors' : 'largest stored tensors',
      (initializers ? found.initializers : largest).map(({ name, type, dims }) => [name, type, `[${dims.join(', ')}]`]),
    ),
    ...section(
      'metadata',
      Object.entries(found.metadata).map(([key, value]) => [key, shortened(value)]),
    ),
  ];
  if (nodes) {
    const rows = found.layers.map(({ op, inputs, outputs, shape }) => [
      outputs[0] ?? '',
      op,
      shape === undefined ? '' : `[${shape}]`,
      inputs.join(' '),
    ]);
    lines.push(...section('nodes: result, operator, shape, inputs', rows));
  }
  lines.push('', found.problems.length > 0 ? 'problems:' : 'no problems found in its structure');
  lines.push(...found.problems.map((problem) => `  ${problem}`));
  return lines.join('\n');
}

const count = (n: number) => n.toLocaleString('en-US');

function section(title: string, rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return [
    '',
    title,
    ...rows.map(
      (row) =>
        `  ${row
          .map((cell, i) => cell.padEnd(widths[i]))
          .join('  ')
          .trimEnd()}`,
    ),
  ];
}

/** Lists as how many, and the first of them. */
function shortened(value: string): string {
  if (value.length <= LONGEST) return value;
  const list = value.startsWith('[') ? (JSON.parse(value) as unknown[]) : undefined;
  return list ? `${list.length} entries: ${list.slice(0, 5).join(', ')}, …` : `${value.slice(0, LONGEST)}…`;
}
