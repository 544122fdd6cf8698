import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onSwiftshader, withoutSwiftshader } from './swiftshader.js';

/** `alexnet train` under ALEXNET_PROVIDER; it ends before anything is read or written. */
function trainOn(provider: string): { status: number | null; stderr: string } {
  const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
  const words = [cli, 'train', '--data', 'nowhere', '--model', 'cifar10-quick', '--out', '/nowhere/run'];
  const env = { ...onSwiftshader, ALEXNET_PROVIDER: provider };
  const { status, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8', timeout: 60_000 });
  return { status, stderr };
}

describe('ALEXNET_PROVIDER', () => {
  it('lists the providers if it names none', () => {
    const { status, stderr } = trainOn('gpu');
    assert.equal(status, 1);
    assert.match(stderr, /ALEXNET_PROVIDER: expected one of cpu, webgpu, cuda, got "gpu"/);
  });

  it('stops, and says what is missing, if the provider does not run', (t) => {
    const { status, stderr } = trainOn('cuda');
    if (/backend onnxruntime: .* on cuda/.test(stderr)) return t.skip('CUDA runs here');
    assert.equal(status, 1);
    assert.match(stderr, /ALEXNET_PROVIDER=cuda: does not run here \(.+\); it needs CUDA 12/);
  });

  it('is named in the first line of a run', () => {
    assert.match(trainOn('cpu').stderr, /backend onnxruntime: onnxruntime-node on cpu; /);
  });

  it('starts a run on WebGPU', { skip: withoutSwiftshader }, () => {
    assert.match(trainOn('webgpu').stderr, /backend onnxruntime: onnxruntime-node on webgpu, /);
  });
});
