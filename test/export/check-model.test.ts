import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Inspection, inspect } from '../../cli/inspect.js';
import { checkModel } from '../../export/check/check-model.js';
import { ATTRIBUTES, OPERATORS, REMOVED_ATTRIBUTES, REMOVED_OPERATORS } from '../../export/check/operator-versions.js';
import { exportOnnx } from '../../export/index.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { alexnet, json } from '../real/shared-process.js';
import { MODELS, withWeights } from './five-models.js';

const { FLOAT } = onnx.TensorProto.DataType;
type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;

const info = (name: string, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
});
const weight = (name: string, dims: number[], numbers = dims.reduce((a, b) => a * b, 1)) => ({
  name,
  dims,
  dataType: FLOAT,
  rawData: new Uint8Array(4 * numbers),
});
const node = (opType: string, input: string[], output: string[], more: NodeProto = {}): NodeProto => ({
  opType,
  name: output[0],
  input,
  output,
  ...more,
});

/** x [2, 3] → Gemm → Relu → y [2, 5], without a fault. */
function good(): { model: ModelProto; graph: GraphProto; nodes: NodeProto[] } {
  const nodes = [node('Gemm', ['x', 'w', 'b'], ['h']), node('Relu', ['h'], ['y'])];
  const graph = {
    name: 'g',
    node: nodes,
    initializer: [weight('w', [3, 5]), weight('b', [5])],
    input: [info('x', 2, 3)],
    output: [info('y', 2, 5)],
  };
  return { model: { irVersion: 7, opsetImport: [{ domain: '', version: 13 }], graph }, graph, nodes };
}

const FAULTS: Record<string, [(parts: ReturnType<typeof good>) => void, RegExp[]]> = {
  'a value that nothing computes': [
    ({ nodes }) => (nodes[1].input = ['z']),
    [/Relu "y" reads "z", which nothing computes/],
  ],
  'nodes out of order': [({ nodes }) => nodes.reverse(), [/Relu "y" reads "h", which only a later node computes/]],
  'a value computed twice': [
    ({ nodes }) => nodes.push(node('Relu', ['x'], ['h'], { name: 'again' })),
    [/output of Relu "again" "h": there is another value/],
  ],
  'two nodes of one name': [
    ({ nodes }) => nodes.push(node('Neg', ['x'], ['n'], { name: 'h' })),
    [/two nodes are called "h"/],
  ],
  'an initialiser twice': [
    ({ graph }) => graph.initializer!.push(weight('b', [5])),
    [/initialiser "b": there is another/],
  ],
  'an initialiser nobody reads': [
    ({ graph }) => graph.initializer!.push(weight('u', [1])),
    [/nothing reads the initialiser "u"/],
  ],
  'an initialiser of another length': [
    ({ graph }) => {
      graph.initializer![0] = weight('w', [3, 5], 14);
    },
    [/initialiser "w": expected 15 elements of FLOAT for \[3, 5\], got 14/],
  ],
  'an output that nothing computes': [
    ({ graph }) => graph.output!.push(info('z', 1)),
    [/nothing computes the output "z"/],
  ],
  'an input without a type': [({ graph }) => graph.input!.push({ name: 'q' }), [/input "q" has no type/]],
  'an IR version too low': [
    ({ model }) => (model.irVersion = 6),
    [/IR version 6 is too low for operator set 13, which needs 7/],
  ],
  'a domain without an operator set': [
    ({ nodes }) => (nodes[1].domain = 'com.example'),
    [/the model names no operator set of domain "com.example"/],
  ],
  'an operator that is not there yet': [
    ({ nodes }) => (nodes[1].opType = 'Mish'),
    [/Mish exists from operator set 18 on, the model has 13/],
  ],
  'an operator that is gone': [
    ({ nodes }) => (nodes[1].opType = 'Upsample'),
    [/Upsample was removed in operator set 10/],
  ],
  'an operator that never was': [({ nodes }) => (nodes[1].opType = 'Relux'), [/ONNX has no operator Relux/]],
  'an attribute that is an input by now': [
    ({ nodes }) => {
      nodes[1] = node('ReduceSum', ['h'], ['y'], { attribute: [{ name: 'axes', type: 7, ints: [1] }] });
    },
    [/attribute axes was removed in operator set 13/],
  ],
  'an attribute that is not there yet': [
    ({ nodes }) => {
      nodes[1] = node('Reshape', ['h', 'b'], ['y'], { attribute: [{ name: 'allowzero', type: 2, i: 1 }] });
    },
    [/attribute allowzero exists from operator set 14 on/],
  ],
  'a fault in a subgraph': [
    ({ nodes }) => {
      const branch = {
        name: 'then',
        node: [node('Neg', ['h'], ['t']), node('Abs', ['lost'], ['s'])],
        output: [info('t')],
      };
      nodes[1] = node('If', ['x'], ['y'], { attribute: [{ name: 'then_branch', type: 5, g: branch }] });
    },
    [/Abs "s" reads "lost", which nothing computes/],
  ],
};

describe('the structural checker', () => {
  it('finds nothing wrong with a good model', () => assert.deepEqual(checkModel(good().model), []));

  for (const [name, [spoil, expected]] of Object.entries(FAULTS)) {
    it(`finds ${name}, and nothing else`, () => {
      const parts = good();
      spoil(parts);
      const problems = checkModel(parts.model);
      assert.equal(problems.length, expected.length, problems.join('\n'));
      for (const pattern of expected)
        assert.ok(
          problems.some((problem) => pattern.test(problem)),
          problems.join('\n'),
        );
    });
  }

  it('finds nothing wrong with exported models', async () => {
    for (const build of Object.values(MODELS)) {
      const model = withWeights(build());
      for (const opset of [13, 17, 18, 22])
        assert.deepEqual(checkModel(onnx.ModelProto.decode((await exportOnnx(model, { opset })).encode())), []);
      model.dispose();
    }
  });

  it("has Python's table of operators, as far as that reaches", async (t) => {
    const python = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
    const script = `
import json, onnx.defs
rows = [[s.name, s.since_version, s.deprecated, list(s.attributes)] for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""]
print(json.dumps([onnx.defs.onnx_opset_version(), rows]))`;
    const run = promisify(execFile)(python, ['-c', script], { maxBuffer: 2 ** 24 });
    const stdout = await run.then(
      (ended) => ended.stdout,
      () => undefined,
    );
    if (stdout === undefined) return t.skip(`needs Python with onnx (${python}, or the one ALEXNET_PYTHON names)`);
    const [newest, rows] = JSON.parse(stdout) as [number, [string, number, boolean, string[]][]];
    const listed = (table: Record<number, string>) =>
      new Map(Object.entries(table).flatMap(([opset, names]) => names.split(' ').map((name) => [name, Number(opset)])));
    const [first, gone, from, until] = [OPERATORS, REMOVED_OPERATORS, ATTRIBUTES, REMOVED_ATTRIBUTES].map(listed);
    for (const op of new Set(rows.map(([name]) => name))) {
      const versions = rows.filter(([name]) => name === op).sort((a, b) => a[1] - b[1]);
      assert.equal(first.get(op), versions[0][1], op);
      for (const [, version, deprecated, attributes] of versions) {
        if (deprecated && op !== 'GroupNormalization') assert.equal(gone.get(op), version, op);
        for (const name of attributes) {
          assert.ok((from.get(`${op}.${name}`) ?? 0) <= version, `${op}.${name} at ${version}`);
          assert.ok((until.get(`${op}.${name}`) ?? newest + 1) > version, `${op}.${name} at ${version}`);
        }
      }
    }
  });
});

describe('alexnet inspect', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-inspect-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('says what a file holds, as text and as JSON', async () => {
    const file = join(folder, 'good.onnx');
    await writeFile(
      file,
      onnx.ModelProto.encode({ ...good().model, metadataProps: [{ key: 'k', value: 'v' }] }).finish(),
    );
    const found = await json<Inspection>('inspect', file);
    assert.deepEqual(found.operators, { Gemm: 1, Relu: 1 });
    assert.equal(found.parameters, 20);
    assert.deepEqual(found.types, { float: { elements: 20, bytes: 80 } });
    assert.deepEqual(found.inputs, [{ name: 'x', type: 'float', dims: [2, 3] }]);
    assert.deepEqual(found.metadata, { k: 'v' });
    const { stdout, code } = await alexnet('inspect', file, '--nodes', '--initializers');
    assert.equal(code, 0);
    for (const pattern of [/opset 13, IR 7/, /y +Relu +\[2, 5\] +h/, /w +float +\[3, 5\]/, /no problems found/])
      assert.match(stdout, pattern);
  });

  it('lists problems, and fails on them if asked to', async () => {
    const parts = good();
    parts.nodes[1].input = ['z'];
    const file = join(folder, 'dangling.onnx');
    await writeFile(file, onnx.ModelProto.encode(parts.model).finish());
    assert.equal((await alexnet('inspect', file)).code, 0);
    const { stdout, code } = await alexnet('inspect', file, '--check');
    assert.match(stdout, /Relu "y" reads "z", which nothing computes/);
    assert.equal(code, 1);
  });

  it('names a file that is not a model, cut short or damaged', async () => {
    const whole = onnx.ModelProto.encode(good().model).finish();
    const damaged = Uint8Array.from(whole);
    damaged.fill(0xff, whole.length - 120, whole.length - 60);
    const cases: [string, string | Uint8Array, RegExp][] = [
      ['text.onnx', 'this is no model', /text\.onnx: not an ONNX file/],
      ['png.onnx', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), /png\.onnx: not an ONNX file/],
      ['empty.onnx', '', /empty\.onnx: not an ONNX file/],
      ['cut.onnx', whole.subarray(0, whole.length - 5), /cut\.onnx: cut short: expected at least \d+ bytes, got \d+/],
      ['damaged.onnx', damaged, /damaged\.onnx: (damaged|not an ONNX file|cut short|expected a graph)/],
      [
        'bare.onnx',
        onnx.ModelProto.encode({ irVersion: 7, graph: { name: 'x' } }).finish(),
        /expected a graph with nodes/,
      ],
    ];
    for (const [name, contents, message] of cases) {
      await writeFile(join(folder, name), contents);
      await assert.rejects(inspect(join(folder, name)), { name: 'UserError', message }, name);
    }
    await assert.rejects(inspect(join(folder, 'absent.onnx')), { name: 'UserError', message: /no such file/ });
    await assert.rejects(inspect(folder), { name: 'UserError' });
  });
});
