/** Exported files outside this project: Python's onnx, and onnxruntime-node of other years. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tf } from '../../base/tfjs/core.js';
import { exportClassifier, exportOnnx, type OnnxModel, quantize, toFloat16 } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork, NETWORKS } from '../../model/registry.js';
import * as ort from '../../onnx/onnxruntime.js';
import { numbers } from '../onnx/on-both.js';
import { MODELS, withWeights } from './five-models.js';
import { countedLoop } from './graphs.js';
import type { Case } from './run-files.js';

const run = promisify(execFile);
const LARGE = { maxBuffer: 2 ** 26 };
/** Debian's, unless another is named. */
const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const CHECK = fileURLToPath(new URL('../../../test/export/python_check.py', import.meta.url));
const RUN_FILES = fileURLToPath(new URL('./run-files.js', import.meta.url));
const OPSETS = [13, 17, 22];

interface Written {
  name: string;
  opset: number;
  /** Largest difference to this onnxruntime that is not a fault. */
  tolerance: number;
}

const written: Written[] = [];
let folder: string;

async function write(name: string, model: OnnxModel, tolerance: number): Promise<void> {
  const { inputs, opset } = model.parts;
  const feeds = inputs.map(({ name, dtype, dims }, i) => {
    const fixed = dims.map((length) => (typeof length === 'number' ? length : 2));
    const values = numbers(tf.util.sizeFromShape(fixed), i + 3);
    const words = name.startsWith('embedding');
    const data =
      dtype === 'uint8'
        ? Uint8Array.from(values, (value) => 127 * (value + 1))
        : values.map((v) => (words ? Math.abs(Math.round(9 * v)) : v));
    return { name, dtype: dtype as 'float32', dims: fixed, data };
  });
  const bytes = model.encode();
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const results = await session.run(
    Object.fromEntries(
      feeds.map(({ name, dtype, dims, data }) => [name, new ort.Tensor(dtype, data as Float32Array, dims)]),
    ),
  );
  const outputs = session.outputNames.map((name) => results[name]);
  await session.release();
  const contents: Case = {
    inputs: feeds.map((feed) => ({ ...feed, data: Array.from(feed.data) })),
    outputs: outputs.map(({ dims, data }, i) => ({
      name: session.outputNames[i],
      dims: [...dims],
      data: Array.from(data as Float32Array),
    })),
  };
  await writeFile(join(folder, `${name}.onnx`), bytes);
  await writeFile(join(folder, `${name}.json`), JSON.stringify(contents));
  written.push({ name, opset, tolerance });
}

/** Every network with both heads, models of other kinds, and reduced precision. */
async function writeAll(): Promise<void> {
  for (const opset of OPSETS) {
    for (const [name, spec] of Object.entries(NETWORKS)) {
      const { imagePx, inputPx } = findNetwork(name);
      const width = inputPx > 100 ? 0.0625 : 1;
      const net = buildNetwork(spec, { classes: 7, seed: 3, width });
      const mean = new Float32Array(imagePx ** 2 * 3).fill(120);
      const labels = Array.from({ length: 7 }, (_, i) => `label ${i}`);
      const metadata = { model: name, labels, meanRgb: [120, 120, 120], dataset: 'x', toolVersion: '0' } as const;
      const geometry = { imagePx, inputPx, mean, opset };
      for (const head of ['image', 'tensor'] as const) {
        const { model } = await exportClassifier(net, {
          ...geometry,
          head,
          metadata: { ...metadata, meanRgb: [120, 120, 120] },
        });
        await write(`${name}-${head}-${opset}`, model, 1e-4);
      }
      net.dispose();
    }
    for (const [name, build] of Object.entries(MODELS)) {
      const model = withWeights(build());
      const exported = await exportOnnx(model, { opset });
      await write(`${name}-${opset}`, exported, 1e-4);
      if (['mobile', 'residual', 'perceptron'].includes(name)) {
        const [{ name: input, dims }] = exported.parts.inputs;
        const shape = [4, ...dims.slice(1).map(Number)];
        const at = () => ({ [input]: new ort.Tensor('float32', numbers(tf.util.sizeFromShape(shape)), shape) });
        const options = { method: 'minmax', reduceRange: true, keepFloat: [] } as const;
        await write(`${name}-int8-${opset}`, await quantize(exported, { count: 4, at }, options), 0.1);
        await write(`${name}-fp16-${opset}`, toFloat16(exported), 0.01);
      }
      model.dispose();
    }
    await write(`loop-${opset}`, await exportOnnx(countedLoop(), { opset }), 1e-6);
  }
}

async function pythonHasOnnx(): Promise<string | false> {
  return run(PYTHON, ['-c', 'import onnx']).then(
    () => false,
    () => `needs Python with onnx (${PYTHON}, or the one ALEXNET_PYTHON names)`,
  );
}

describe('exported files elsewhere', async () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-portable-'));
    await writeAll();
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("pass Python's checker and shape inference, and its reference evaluator", {
    skip: await pythonHasOnnx(),
  }, async (t) => {
    const { stdout } = await run(PYTHON, [CHECK, folder], LARGE);
    const [version, ...files] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.diagnostic(`onnx ${version.onnx}, opset ${version.opset}, evaluator: ${version.evaluator}`);
    const known = written.filter(({ opset }) => opset <= version.opset);
    assert.equal(files.length, known.length);
    for (const { file, inferred, evaluated } of files) {
      assert.deepEqual(inferred, [], file);
      const { tolerance } = written.find(({ name }) => `${name}.onnx` === file)!;
      if (evaluated !== null) assert.ok(evaluated < tolerance, `${file}: reference evaluator ${evaluated} off`);
    }
    if (version.evaluator) assert.ok(files.filter(({ evaluated }) => evaluated !== null).length > known.length / 2);
  });

  for (const [version, newest] of [
    ['1.17.3', 20],
    ['1.20.1', 21],
  ] as const) {
    it(`load and give the same in onnxruntime-node ${version}`, async (t) => {
      const place = join(folder, version);
      await mkdir(place);
      const installed = await run('npm', [
        'install',
        '--prefix',
        place,
        '--ignore-scripts',
        '--no-audit',
        `onnxruntime-node@${version}`,
      ]).then(
        () => true,
        () => false,
      );
      if (!installed) return t.skip('the npm registry cannot be reached');
      const names = written.filter(({ opset }) => opset <= newest).map(({ name }) => name);
      const { stdout } = await run(
        process.execPath,
        [RUN_FILES, join(place, 'node_modules', 'onnxruntime-node'), folder, ...names],
        LARGE,
      );
      const lines = stdout.trim().split('\n');
      assert.equal(lines.length, names.length);
      for (const line of lines) {
        const { name, difference } = JSON.parse(line) as { name: string; difference: number };
        const { tolerance } = written.find((file) => file.name === name)!;
        assert.ok(difference < tolerance, `${name}: ${difference} off`);
      }
    });
  }
});
