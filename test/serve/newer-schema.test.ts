/** Model files with fields that ONNX got after the schema this program knows: they reach onnxruntime as they are. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { random } from '../../base/random.js';
import { readAllExternalData } from '../../onnx/file/external-data.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { rewriteLrn } from '../../onnx/rewrite/lrn.js';
import { readModelFile } from '../../serve/inference/model/model-file.js';
import { CropNetwork } from '../../serve/views/engine/crop-network.js';
import { running } from './running.js';

const { FLOAT, BOOL } = onnx.TensorProto.DataType;
/** Added by IR 9 and 10. */
const [FLOAT8E4M3FN, INT4] = [17, 22];
const SIDE = 8;
const CLASSES = 6;

const folder = mkdtempSync(join(tmpdir(), 'alexnet-newer-'));
after(() => rmSync(folder, { recursive: true }));

/** Tag, length, bytes; numbers up to 2²¹ − 1. */
function field(number: number, value: Uint8Array | string): Buffer {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
}

/** A field of no schema: fixed32, number 1000. */
const UNKNOWN = Buffer.from([0xc5, 0x3e, 1, 2, 3, 4]);
const entry = (key: string, value: string) => Buffer.concat([field(1, key), field(2, value)]);

interface Node {
  op: string;
  input: string[];
  output: string;
  attributes?: object[];
  domain?: string;
  overload?: string;
}

/** NodeProto with `overload` (8) and `metadata_props` (9). */
function node({ op, input, output, attributes = [], domain = '', overload = '' }: Node): Buffer {
  const known = onnx.NodeProto.encode({ opType: op, input, output: [output], domain, attribute: attributes }).finish();
  return Buffer.concat([known, field(8, overload), field(9, entry('source', `line of ${output}`)), UNKNOWN]);
}

const float = (name: string, f: number) => ({ name, type: 1, f });
const int = (name: string, i: number) => ({ name, type: 2, i });
const lrn = (input: string, output: string, bias: number): Node => {
  const attributes = [int('size', 3), float('alpha', 0.3), float('beta', 0.75), float('bias', bias)];
  return { op: 'LRN', input: [input], output, attributes };
};

/** FunctionProto with `attribute_proto` (11), defaults of attributes, and `overload` (13). */
function functionOf(
  name: string,
  body: Buffer[],
  { alpha, overload = '' }: { alpha?: number; overload?: string } = {},
) {
  const { FunctionProto, AttributeProto } = onnx;
  const opsetImport = [{ domain: '', version: 21 }];
  const known = FunctionProto.encode({ name, domain: 'loc', input: ['a'], output: ['b'], opsetImport }).finish();
  const defaults = alpha === undefined ? [] : [field(11, AttributeProto.encode(float('alpha', alpha)).finish())];
  return Buffer.concat([known, ...body.map((each) => field(7, each)), ...defaults, field(13, overload)]);
}

function tensor(name: string, dims: number[], dataType: number, rawData: Uint8Array): Buffer {
  const known = onnx.TensorProto.encode({ name, dims, dataType, rawData }).finish();
  return Buffer.concat([known, field(16, entry('kept', 'yes')), UNKNOWN]);
}

const floats = (name: string, dims: number[], values: ArrayLike<number>) =>
  tensor(name, dims, FLOAT, new Uint8Array(Float32Array.from(values).buffer));

function value(name: string, dims: number[]): Uint8Array {
  const dim = dims.map((dimValue) => ({ dimValue }));
  return onnx.ValueInfoProto.encode({ name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } }).finish();
}

/**
 * LRN in the graph, in a subgraph and in a function; functions with a default attribute and with an overload; int4 and
 * float8 weights.
 */
function newerModel(): Buffer {
  const stream = random('newer');
  const branch = (inner: Node) =>
    Buffer.concat([
      onnx.GraphProto.encode({ name: 'branch', output: [{ name: inner.output }] }).finish(),
      field(1, node(inner)),
      UNKNOWN,
    ]);
  const leaky = (slope: object) => node({ op: 'LeakyRelu', input: ['a'], output: 'b', attributes: [slope] });
  const referred = { name: 'alpha', refAttrName: 'alpha', type: 1 };
  // AttributeProto by hand: g (6) must keep what the schema does not know.
  const graphAttribute = (name: string, graph: Buffer) =>
    field(5, Buffer.concat([field(1, name), field(6, graph), Buffer.from([0xa0, 1, 5])]));
  const choice = Buffer.concat([
    node({ op: 'If', input: ['yes'], output: 'chosen' }),
    graphAttribute('then_branch', branch(lrn('norm1', 'inner', 1.5))),
    graphAttribute('else_branch', branch({ op: 'Identity', input: ['norm1'], output: 'other' })),
  ]);
  const nodes = [
    node({ op: 'Conv', input: ['x', 'kernel'], output: 'conv1' }),
    node({ op: 'Relu', input: ['conv1'], output: 'relu1' }),
    node(lrn('relu1', 'norm1', 2)),
    choice,
    node({ op: 'Normed', input: ['chosen'], output: 'normed', domain: 'loc' }),
    node({ op: 'GlobalAveragePool', input: ['normed'], output: 'pooled' }),
    node({ op: 'Flatten', input: ['pooled'], output: 'flat' }),
    node({ op: 'DequantizeLinear', input: ['codes4', 'scale'], output: 'from4' }),
    node({ op: 'DequantizeLinear', input: ['codes8', 'scale'], output: 'from8' }),
    node({ op: 'Sub', input: ['flat', 'from4'], output: 'shifted' }),
    node({ op: 'Leaky', input: ['shifted'], output: 'leaky1', domain: 'loc' }),
    node({ op: 'Leaky', input: ['shifted'], output: 'leaky2', domain: 'loc', overload: 'steep' }),
    node({ op: 'Add', input: ['leaky1', 'leaky2'], output: 'added' }),
    node({ op: 'Sub', input: ['added', 'from8'], output: 'y' }),
  ];
  const initializers = [
    floats(
      'kernel',
      [CLASSES, 3, 1, 1],
      Array.from({ length: CLASSES * 3 }, () => stream.normal()),
    ),
    floats('scale', [], [0.25]),
    tensor('codes4', [CLASSES], INT4, Uint8Array.of(0x21, 0x43, 0x65)),
    tensor('codes8', [CLASSES], FLOAT8E4M3FN, Uint8Array.of(0x38, 0x40, 0x44, 0x48, 0x30, 0xb8)),
    tensor('yes', [], BOOL, Uint8Array.of(1)),
  ];
  const graph = Buffer.concat([
    field(2, 'newer'),
    ...nodes.map((each) => field(1, each)),
    ...initializers.map((each) => field(5, each)),
    field(11, value('x', [1, 3, SIDE, SIDE])),
    field(12, value('y', [1, CLASSES])),
    field(16, entry('graph', 'kept')), // metadata_props
    UNKNOWN,
  ]);
  const opsetImport = [
    { domain: '', version: 21 },
    { domain: 'loc', version: 1 },
  ];
  return Buffer.concat([
    onnx.ModelProto.encode({ irVersion: 10, opsetImport }).finish(),
    field(7, graph),
    field(25, functionOf('Leaky', [leaky(referred)], { alpha: 3 })),
    field(25, functionOf('Leaky', [leaky(float('alpha', 7))], { overload: 'steep' })),
    field(25, functionOf('Normed', [node(lrn('a', 'b', 1))])),
    UNKNOWN,
  ]);
}

function written(name: string, bytes: Uint8Array): string {
  const file = join(folder, `${name}.onnx`);
  writeFileSync(file, bytes);
  return file;
}

writeFileSync(
  join(folder, 'config.json'),
  JSON.stringify({ labels: [...'abcdef'], output: { activation: 'softmax' } }),
);
const file = written('newer', newerModel());
const input = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => ((i * 37) % 23) / 4 - 2);

/** What onnxruntime gives for bytes of a model. */
async function bare(model: Uint8Array): Promise<number[]> {
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const { y } = await session.run({ x: new ort.Tensor('float32', input, [1, 3, SIDE, SIDE]) });
  return [...(y.data as Float32Array)];
}

async function served(file: string): Promise<number[]> {
  const { url } = await running({ file });
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 3, SIDE, SIDE], data: [...input] }];
  const body = JSON.stringify({ inputs });
  const reply = await fetch(`${url}/v2/models/${basename(file, '.onnx')}/infer`, { method: 'POST', body });
  return ((await reply.json()) as { outputs: { data: number[] }[] }).outputs[0].data;
}

/** float32 sums in another order: the rewritten normalisation is exact to 1e-6, see rewrite-lrn.test.ts. */
function assertClose(actual: number[], expected: number[]): void {
  const most = Math.max(...expected.map(Math.abs));
  const difference = Math.max(...expected.map((value, i) => Math.abs(value - actual[i])));
  assert.ok(difference <= 1e-5 * most, `largest difference ${difference}: ${actual}, expected ${expected}`);
}

/** Values of a message's fields by number, hex, in order. */
function split(message: Buffer): Map<number, string[]> {
  const fields = new Map<number, string[]>();
  let at = 0;
  const varint = () => {
    for (let value = 0, shift = 1; ; shift *= 128) {
      value += (message[at] & 127) * shift;
      if (message[at++] < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    const from = at;
    const length = wire === 2 ? varint() : wire === 5 ? 4 : 0;
    const start = wire === 0 ? from : at;
    if (wire === 0) varint();
    else at += length;
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), message.subarray(start, at).toString('hex')]);
  }
  return fields;
}

test('a file with default attributes, overloads, int4 and float8 gets the answers that onnxruntime gives for it', async () => {
  assertClose(await served(file), await bare(newerModel()));
});

test('the rewrite of LRN keeps every field that it is not about, byte for byte, known or not', async () => {
  const { proto, encode } = await readModelFile(file);
  const { model, rewritten } = rewriteLrn(proto);
  assert.equal(rewritten, 1);
  const [before, after] = [newerModel(), encode(model)].map((bytes) => split(Buffer.from(bytes)));
  const graphs = [before, after].map((fields) => split(Buffer.from(fields.get(7)![0], 'hex')));
  for (const fields of [before, after]) fields.delete(7);
  assert.deepEqual(after, before);
  const [nodes, changedNodes] = graphs.map((fields) => fields.get(1)!);
  assert.deepEqual(changedNodes.slice(0, 2), nodes.slice(0, 2));
  assert.deepEqual(changedNodes.slice(-11), nodes.slice(-11)); // all after the LRN, which is the third of 14
  const [tensors, changedTensors] = graphs.map((fields) => fields.get(5)!);
  assert.deepEqual(changedTensors.slice(0, tensors.length), tensors);
  for (const fields of graphs) for (const list of [1, 5]) fields.delete(list);
  assert.deepEqual(graphs[1], graphs[0]);
});

test('views compute what the file computes', async () => {
  const network = await CropNetwork.open({ file, maxPixels: 1e6 });
  try {
    const powers = (await bare(newerModel())).map(Math.exp);
    const sum = powers.reduce((a, b) => a + b);
    assertClose(
      [...(await network.probabilities(input))],
      powers.map((power) => power / sum),
    );
  } finally {
    await network.release();
  }
});

/** Conv, then whatever is called LRN. */
function calling(lrnDomain: string, ...functions: Buffer[]): Buffer {
  const kernel = Float32Array.from({ length: CLASSES * 3 }, (_, i) => ((i * 5) % 7) - 3);
  const nodes = [
    node({ op: 'Conv', input: ['x', 'kernel'], output: 'conv1' }),
    node({ ...lrn('conv1', 'norm1', 2), domain: lrnDomain }),
    node({ op: 'GlobalAveragePool', input: ['norm1'], output: 'pooled' }),
    node({ op: 'Flatten', input: ['pooled'], output: 'y' }),
  ];
  const graph = [
    field(2, 'g'),
    ...nodes.map((each) => field(1, each)),
    field(5, floats('kernel', [CLASSES, 3, 1, 1], kernel)),
  ];
  graph.push(field(11, value('x', [1, 3, SIDE, SIDE])), field(12, value('y', [1, CLASSES])));
  const opsetImport = ['', 'loc'].map((domain) => ({ domain, version: domain ? 1 : 21 }));
  const head = onnx.ModelProto.encode({ irVersion: 10, opsetImport }).finish();
  return Buffer.concat([head, field(7, Buffer.concat(graph)), ...functions.map((each) => field(25, each))]);
}

/** A function that has ONNX's name and computes 2a. */
function doubling(domain: string): Buffer {
  const { FunctionProto } = onnx;
  const opsetImport = [{ domain: '', version: 21 }];
  const attribute = ['size', 'alpha', 'beta', 'bias'];
  const known = { name: 'LRN', domain, input: ['a'], output: ['b'], attribute, opsetImport };
  const body = field(7, node({ op: 'Add', input: ['a', 'a'], output: 'b' }));
  return Buffer.concat([FunctionProto.encode(known).finish(), body]);
}

for (const domain of ['loc', '', 'ai.onnx']) {
  test(`a function of the model called LRN in the domain "${domain}" stays that function`, async () => {
    const bytes = calling(domain, doubling(domain));
    assertClose(await served(written(`function-${domain || 'own'}`, bytes)), await bare(bytes));
  });
}

test("an LRN written with the domain's full name is ONNX's, and rewritten", async () => {
  const file = written('full-name', calling('ai.onnx'));
  assert.equal(rewriteLrn((await readModelFile(file)).proto).rewritten, 1);
  assertClose(await served(file), await bare(calling('ai.onnx')));
});

test('names that the rewrite would give are not taken from values of the file', async () => {
  const model = onnx.ModelProto.decode(calling(''));
  const graph = model.graph!;
  const [conv, norm, pool, flat] = graph.node!;
  graph.node = [
    conv,
    onnx.NodeProto.create({ opType: 'Neg', input: ['conv1'], output: ['norm1/square'] }),
    norm,
    pool,
    onnx.NodeProto.create({ opType: 'GlobalAveragePool', input: ['norm1/square'], output: ['other'] }),
    onnx.NodeProto.create({ opType: 'Add', input: ['pooled', 'other'], output: ['sum'] }),
    onnx.NodeProto.create({ ...flat, input: ['sum'] }),
  ];
  const bytes = onnx.ModelProto.encode(model).finish();
  assertClose(await served(written('clash', bytes)), await bare(bytes));
});

test('large tensors, which stay in the file, come back into the model with all of their fields', async () => {
  const large = floats('large', [600, 500], new Float32Array(300_000).fill(0.5));
  const graph = Buffer.concat([
    field(2, 'g'),
    field(1, node({ op: 'Neg', input: ['x'], output: 'y' })),
    field(5, large),
  ]);
  const ends = [field(11, value('x', [1, 3, SIDE, SIDE])), field(12, value('y', [1, CLASSES]))];
  const head = onnx.ModelProto.encode({ irVersion: 10, opsetImport: [{ domain: '', version: 21 }] }).finish();
  const file = written('large', Buffer.concat([head, field(7, Buffer.concat([graph, ...ends]))]));
  const { proto, encode } = await readModelFile(file);
  const tensorOf = (model: Uint8Array) => {
    const inner = Buffer.from(split(Buffer.from(model)).get(7)![0], 'hex');
    return split(Buffer.from(split(inner).get(5)![0], 'hex'));
  };
  assert.equal(tensorOf(encode(proto)).get(13)?.length, 3);
  assert.deepEqual(tensorOf(encode(proto, await readAllExternalData(file, proto))), split(large));
});
