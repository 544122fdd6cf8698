import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeTwoColours } from '../train/two-colours.js';
import type { Measured } from './steps-on-provider.js';
import { onSwiftshader, withoutSwiftshader as skip } from './swiftshader.js';

/**
 * Width, images per batch, first weights, noise: large networks are narrow, for SwiftShader computes on the CPU. Some noises
 * leave a ReLU or a maximum of caffenet within rounding of its switch: first weights changed by 1e-7 then move conv1 by
 * up to 7e-2 on the CPU alone. With caffenet's noise here they move nothing by more than 2e-5.
 */
const NETWORKS: [name: string, width: number, batch: number, start: 'large' | 'own', noise: string][] = [
  ['alexnet', 0.125, 2, 'large', 'twenty'],
  ['alexnet-torchvision', 0.125, 2, 'own', 'twenty'],
  ['caffenet', 0.125, 2, 'large', 'c'],
  ['cifar10-quick', 1, 4, 'own', 'twenty'],
  ['cifar10-18pct', 1, 2, 'own', 'twenty'],
  ['cifar10-11pct', 1, 2, 'own', 'twenty'],
];
const STEPS = 20;
const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

function stepsOn(provider: string, network: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Measured {
  const script = fileURLToPath(new URL('./steps-on-provider.js', import.meta.url));
  const printed = execFileSync(process.execPath, [script, ...[...network, STEPS].map(String)], {
    env: { ...onSwiftshader, ALEXNET_PROVIDER: provider, ...env },
    maxBuffer: 1e9,
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
  });
  return JSON.parse(printed) as Measured;
}

interface TraceEvent {
  cat: string;
  name: string;
  args?: { provider?: string; op_name?: string };
}

/** Of the nodes in onnxruntime's traces: how many ran, and which of them on the CPU or to copy to or from it. */
function tracedNodes(folder: string): { all: number; onHost: string[] } {
  const traces = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as TraceEvent[],
  );
  const ran = traces.flat().filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const onHost = ran.filter(
    ({ args }) => args!.provider !== 'WebGpuExecutionProvider' || /^Memcpy/.test(args!.op_name!),
  );
  return { all: ran.length, onHost: onHost.map(({ args, name }) => `${args!.op_name} ${name}`) };
}

const floats = (text: string) => new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);

const largest = (values: ArrayLike<number>) =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Of each weight tensor: the largest difference as a share of its largest change. */
function compareMoves(t: TestContext, cpu: Measured, webgpu: Measured): void {
  assert.deepEqual(Object.keys(webgpu.moves), Object.keys(cpu.moves));
  const shares = Object.entries(cpu.moves).map(([name, text]) => {
    const [expected, actual] = [floats(text), floats(webgpu.moves[name])];
    assert.equal(actual.length, expected.length);
    return { name, share: largest(expected.map((value, i) => value - actual[i])) / largest(expected) };
  });
  const worst = shares.reduce((most, next) => (next.share > most.share ? next : most));
  t.diagnostic(`weights differ by up to ${worst.share.toExponential(1)} of their largest change (${worst.name})`);
  for (const { name, share } of shares) assert.ok(share < 1e-3, `${name}: differs by ${share} of its largest change`);
}

describe('training on WebGPU', () => {
  for (const network of NETWORKS)
    it(`keeps ${network[0]} on the device, and gives the weights of the cpu provider after ${STEPS} steps`, {
      skip,
    }, (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'alexnet-webgpu-'));
      t.after(() => rmSync(folder, { recursive: true }));
      const webgpu = stepsOn('webgpu', network, { ALEXNET_PROFILE: join(folder, 'trace') });
      const { all, onHost } = tracedNodes(folder);
      assert.ok(all > 1000, `${all} nodes ran`);
      assert.deepEqual(onHost, []);
      assert.equal(webgpu.bytesToHost, 8, 'loss and number right come back');
      const extra = webgpu.bytesToDevice - webgpu.givenBytes;
      assert.ok(extra >= 0 && extra < 1024, `${extra} bytes besides images, labels and masks go in`);
      t.diagnostic(`${webgpu.bytesToDevice} bytes to the device in a step, ${webgpu.bytesToHost} back`);
      const cpu = stepsOn('cpu', network);
      compareMoves(t, cpu, webgpu);
      const differences = cpu.probabilities.map((p, i) => p - webgpu.probabilities[i]);
      assert.ok(largest(differences) < 1e-4, `probabilities differ by ${largest(differences)}`);
    });

  it('frees the memory of tensors, and says in a sentence that there is not enough', { skip }, (t) => {
    const script = fileURLToPath(new URL('./memory-on-device.js', import.meta.url));
    const words = ['--expose-gc', script];
    const printed = execFileSync(process.execPath, words, { env: onSwiftshader, encoding: 'utf8', stdio: 'pipe' });
    const { after50, after500, error, mean } = JSON.parse(printed) as Record<string, number | string>;
    const grownMb = (Number(after500) - Number(after50)) / 1e6;
    t.diagnostic(`${grownMb.toFixed(1)} MB more after 500 updates of 16 MB than after 50`);
    assert.ok(grownMb < 50, `${grownMb} MB more`);
    assert.match(String(error), /^OutOfMemoryError: out of GPU memory: this computation needs up to 10\.07 GB \(.+\)$/);
    assert.ok(Number.isFinite(mean), 'the device computes on');
  });

  it('trains by command as on the cpu, from a set whose images lie on the device', { skip }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'alexnet-webgpu-'));
    t.after(() => rmSync(folder, { recursive: true }));
    await writeTwoColours(folder);
    const lossOn = (provider: string) => {
      const run = join(folder, provider);
      const words = [
        'train',
        '--data',
        join(folder, 'data'),
        '--model',
        'cifar10-quick',
        '--batch',
        '20',
        '--epochs',
        '2',
      ];
      const env = { ...onSwiftshader, ALEXNET_PROVIDER: provider };
      execFileSync(process.execPath, [CLI, ...words, '--out', run], { env, stdio: 'ignore' });
      const rows = readFileSync(join(run, 'metrics.csv'), 'utf8').trim().split('\n');
      return Number(rows.at(-1)!.split(',')[rows[0].split(',').indexOf('val_loss')]);
    };
    const [cpu, webgpu] = [lossOn('cpu'), lossOn('webgpu')];
    t.diagnostic(`validation loss ${cpu} on the cpu, ${webgpu} on WebGPU`);
    assert.ok(Math.abs(cpu - webgpu) < 1e-3 * cpu, `${cpu} on the cpu, ${webgpu} on WebGPU`);
  });
});
