import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { classifyCommand } from '../../cli/classify.js';
import { demoCommand } from '../../cli/demo.js';
import { evaluateCommand } from '../../cli/evaluate.js';
import { exportCommand } from '../../cli/export.js';
import { findRateCommand } from '../../cli/find-lr.js';
import { importCommand } from '../../cli/import.js';
import { indexCommand } from '../../cli/index.js';
import { neighboursCommand } from '../../cli/neighbours.js';
import { occludeCommand } from '../../cli/occlude.js';
import { reportCommand } from '../../cli/report.js';
import { reproduceCommand } from '../../cli/reproduce.js';
import { serveCommand } from '../../cli/serve.js';
import { trainCommand } from '../../cli/train.js';
import { signOfGpu } from '../../onnx/backend/adapter.js';
import { onSwiftshader, withoutSwiftshader } from './swiftshader.js';

const CHOICES = 'Allowed choices are auto, cpu, webgpu, cuda.';

/** `alexnet train`; it ends before anything is read or written. */
function trainOn(
  variable: string | undefined,
  flags: string[] = [],
  drivers: NodeJS.ProcessEnv = onSwiftshader,
): { status: number | null; stderr: string } {
  const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
  const words = [cli, 'train', '--data', 'nowhere', '--model', 'cifar10-quick', '--out', '/nowhere/run', ...flags];
  const env = { ...process.env, ...drivers, ALEXNET_PROVIDER: variable };
  const { status, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8', timeout: 60_000 });
  return { status, stderr };
}

describe('--provider', () => {
  it('is a flag of every command that computes, with ALEXNET_PROVIDER as its default', () => {
    const commands = [
      ...[trainCommand(), findRateCommand(), evaluateCommand(), reportCommand(), reproduceCommand(), demoCommand()],
      ...[exportCommand(), importCommand(), serveCommand(), classifyCommand()],
      ...[indexCommand(), neighboursCommand(), occludeCommand()],
    ];
    for (const command of commands) {
      const option = command.options.find(({ long }) => long === '--provider');
      assert.deepEqual(option?.argChoices, ['auto', 'cpu', 'webgpu', 'cuda'], command.name());
      assert.equal(option?.envVar, 'ALEXNET_PROVIDER');
    }
  });

  it('lists the providers if flag or variable names none', () => {
    const flag = trainOn(undefined, ['--provider', 'gpu']);
    assert.equal(flag.status, 2);
    assert.ok(flag.stderr.includes(`option '--provider <name>' argument 'gpu' is invalid. ${CHOICES}`), flag.stderr);
    const variable = trainOn('gpu');
    assert.equal(variable.status, 2);
    assert.ok(variable.stderr.includes(`value 'gpu' from env 'ALEXNET_PROVIDER' is invalid. ${CHOICES}`));
  });

  it('says in a few words that there is no adapter', { skip: process.platform !== 'linux' && 'needs Vulkan' }, () => {
    const noDriver = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
    const { status, stderr } = trainOn('webgpu', [], noDriver);
    assert.equal(status, 1);
    assert.match(stderr, /alexnet train: provider webgpu does not run here \(Failed to get a WebGPU adapter/);
  });

  it('stops, and says what is missing, if the provider does not run', (t) => {
    const { status, stderr } = trainOn('cuda');
    if (/backend onnxruntime: .* on cuda/.test(stderr)) return t.skip('CUDA runs here');
    assert.equal(status, 1);
    assert.match(
      stderr,
      /alexnet train: provider cuda does not run here \(.+\); it needs CUDA 12.*; set provider \(--provider\) to auto to use one that works/,
    );
    assert.doesNotMatch(stderr, /\[E:onnxruntime/);
  });

  it('overrides the variable', () => {
    assert.match(trainOn('cuda', ['--provider', 'cpu']).stderr, /backend onnxruntime: onnxruntime-node on cpu\b/);
  });

  it('is the CPU if it is absent or the variable is empty', () => {
    assert.match(trainOn('').stderr, /backend onnxruntime: onnxruntime-node on cpu\b/);
  });

  it('names the adapter, its driver and that it is software, on WebGPU', { skip: withoutSwiftshader }, () => {
    const { stderr } = trainOn('webgpu');
    assert.match(
      stderr,
      /backend onnxruntime: onnxruntime-node on webgpu, .+; SwiftShader Device \(.+\) \(SwiftShader driver, Vulkan 1\.\d; software, slower/,
    );
  });

  const hasGpu = signOfGpu() && 'there may be a GPU here';
  it('takes the CPU for auto if all there is is software, and says so', { skip: withoutSwiftshader || hasGpu }, () => {
    const { stderr } = trainOn(undefined, ['--provider', 'auto']);
    assert.match(stderr, /onnxruntime-node on cpu; --provider auto \(no GPU was found\)/);
  });

  it('never takes software for a real GPU', { skip: withoutSwiftshader }, () => {
    const script = `import('${new URL('../../onnx/backend/auto-provider.js', import.meta.url)}').then((auto) => auto.requireRealGpu('webgpu'))`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], { env: onSwiftshader, encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /there is only SwiftShader Device .+ software, slower than the provider cpu/);
  });

  it('finds no adapter if Vulkan has no driver, or none that works', { skip: withoutSwiftshader }, () => {
    const script = `import('${new URL('../../onnx/backend/adapter.js', import.meta.url)}').then((adapter) => console.log(adapter.findAdapter()))`;
    const env = { ...onSwiftshader, VK_DRIVER_FILES: '/nowhere.json' };
    const { stdout } = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
    assert.equal(stdout, 'undefined\n');
  });
});
