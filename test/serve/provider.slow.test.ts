import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { load } from '../bench/http-load.js';
import { onSwiftshader, withoutSwiftshader } from '../onnx/swiftshader.js';
import { writeNetwork } from './network-file.js';
import { alexnet, CLI, post } from './running.js';
import { pixelsOf, pngOf, writeSmallNetwork } from './small-network.js';

/** Float32 sums in another order; probabilities are at most 1. */
const TOLERANCE = 1e-4;

interface TraceEvent {
  cat: string;
  name: string;
  args?: { op_name?: string; provider?: string };
}

const folder = mkdtempSync(join(tmpdir(), 'alexnet-gpu-'));
after(() => rmSync(folder, { recursive: true }));

/** A command's JSON. */
function answerOf<T>(words: string[], env: NodeJS.ProcessEnv = onSwiftshader): { answer: T; stderr: string } {
  const ended = spawnSync(process.execPath, [CLI, ...words, '--json'], { env, encoding: 'utf8', maxBuffer: 1e8 });
  assert.equal(ended.status, 0, ended.stderr);
  return { answer: JSON.parse(ended.stdout) as T, stderr: ended.stderr };
}

type Classes = { results: { predictions: { index: number; probability: number }[] }[] };

/** Probabilities of each image, by class. */
const byClass = ({ results }: Classes) =>
  results.flatMap(({ predictions }) =>
    predictions.toSorted((a, b) => a.index - b.index).map(({ probability }) => probability),
  );

function worst(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** Nodes that ran, by provider, from the trace of onnxruntime that a command wrote. */
function nodesRun(prefix: string): Record<string, string[]> {
  const [file] = readdirSync(folder).filter((name) => name.startsWith(prefix));
  const trace = JSON.parse(readFileSync(join(folder, file), 'utf8')) as TraceEvent[];
  const nodes = trace.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const byProvider: Record<string, string[]> = {};
  for (const { args } of nodes) {
    const provider = args!.provider!;
    byProvider[provider] = [...(byProvider[provider] ?? []), args!.op_name!];
  }
  return byProvider;
}

describe('an exported file on a GPU provider', { skip: withoutSwiftshader }, () => {
  const images: string[] = [];
  let file: string;
  before(async () => {
    process.env.VK_DRIVER_FILES = onSwiftshader.VK_DRIVER_FILES;
    file = await writeSmallNetwork(join(folder, 'small.onnx'));
    for (const name of [1, 2, 3]) {
      images.push(join(folder, `${name}.png`));
      writeFileSync(images.at(-1)!, await pngOf(pixelsOf(name)));
    }
  });

  const classify = (model: string, provider: string, env: NodeJS.ProcessEnv = onSwiftshader) =>
    answerOf<Classes>(['classify', '--model', model, ...images, '--top', '5', '--provider', provider], env);

  it('gives the probabilities of the CPU, and the log names the adapter', () => {
    const gpu = classify(file, 'webgpu');
    assert.match(gpu.stderr, /^provider webgpu: SwiftShader Device .+software/m);
    const difference = worst(byClass(gpu.answer), byClass(classify(file, 'cpu').answer));
    assert.ok(difference < TOLERANCE, `probabilities differ by ${difference}`);
  });

  for (const [name, crops] of [
    ['alexnet', 1],
    ['cifar10-11pct', 10],
    ['cifar10-18pct', 5],
  ] as const) {
    it(`runs every node of ${name} with ${crops} crops there, the crops included, and gives the CPU's probabilities`, async (t) => {
      const model = await writeNetwork(join(folder, `${name}.onnx`), name, crops);
      const gpu = classify(model, 'webgpu', { ...onSwiftshader, ALEXNET_PROFILE: join(folder, name) });
      const nodes = nodesRun(`${name}_`);
      t.diagnostic(`${nodes.WebGpuExecutionProvider.length} nodes ran`);
      assert.deepEqual(Object.keys(nodes), ['WebGpuExecutionProvider']);
      const difference = worst(byClass(gpu.answer), byClass(classify(model, 'cpu').answer));
      assert.ok(difference < TOLERANCE, `probabilities differ by ${difference}`);
    });
  }

  it('is served with the same answers, and images that wait share runs', async (t) => {
    const server = alexnet('serve', '--model', file, '--port', '0', '--provider', 'webgpu');
    const { url, provider } = JSON.parse(await server.line);
    assert.equal(provider, 'webgpu');
    const pictures = images.map((path) => readFileSync(path));
    const results = await Promise.all(
      pictures.map(async (bytes) => (await post(url, bytes)).json() as Promise<Classes['results'][number]>),
    );
    const difference = worst(byClass({ results }), byClass(classify(file, 'cpu').answer));
    assert.ok(difference < TOLERANCE, `probabilities differ by ${difference}`);
    const options = { url, path: '/classify', live: '/ping', clients: 8, seconds: 4 };
    const { answers, errors } = await load({ ...options, images: pictures });
    const text = await (await fetch(`${url}/metrics`)).text();
    const counter = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1]);
    const [inferred, runs] = [counter('nv_inference_count'), counter('nv_inference_exec_count')];
    t.diagnostic(`${inferred} images in ${runs} runs`);
    assert.equal(errors, 0);
    assert.equal(inferred, answers + pictures.length);
    assert.ok(runs < inferred / 2);
  });

  it('answers images of a data set as on the CPU', () => {
    for (const [at, name] of ['ant', 'bee', 'cat', 'dog', 'elk'].entries()) {
      mkdirSync(join(folder, 'data', 'test', name), { recursive: true });
      cpSync(images[at % images.length], join(folder, 'data', 'test', name, 'one.png'));
    }
    const words = ['evaluate', '--onnx', file, '--data', join(folder, 'data')];
    const evaluated = (provider: string) => {
      const { answer, stderr } = answerOf<{ loss: number; images: number }>([...words, '--provider', provider]);
      return { ...answer, stderr };
    };
    const [gpu, cpu] = [evaluated('webgpu'), evaluated('cpu')];
    assert.equal(gpu.images, 5);
    assert.match(gpu.stderr, /^provider webgpu: SwiftShader Device/m);
    assert.ok(Math.abs(gpu.loss - cpu.loss) < TOLERANCE, `losses ${gpu.loss} and ${cpu.loss}`);
  });

  it('has the occlusion map of the CPU', () => {
    const map = (provider: string) => {
      const words = ['occlude', images[0], '--model', file, '--patch', '5', '--provider', provider];
      return answerOf<{ probabilities: number[] }>(words).answer.probabilities;
    };
    const difference = worst(map('webgpu'), map('cpu'));
    assert.ok(difference < TOLERANCE, `probabilities differ by ${difference}`);
  });
});
