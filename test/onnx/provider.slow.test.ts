import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onSwiftshader, withoutSwiftshader as skip } from './swiftshader.js';

function trainTwenty(provider: string): Float32Array {
  const script = fileURLToPath(new URL('./train-twenty.js', import.meta.url));
  const env = { ...onSwiftshader, ALEXNET_PROVIDER: provider };
  const printed = execFileSync(process.execPath, [script], {
    env,
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Float32Array(new Uint8Array(Buffer.from(printed.toString(), 'base64')).buffer);
}

describe('training on another provider', () => {
  it('gives the weights of the cpu provider after 20 steps of cifar10-quick on WebGPU', { skip }, (t) => {
    const cpu = trainTwenty('cpu');
    const webgpu = trainTwenty('webgpu');
    const worst = cpu.reduce((most, value, i) => Math.max(most, Math.abs(value - webgpu[i])), 0);
    const moved = cpu.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    t.diagnostic(`${cpu.length} weights moved by up to ${moved.toPrecision(2)}, differ by ${worst.toExponential(1)}`);
    assert.equal(webgpu.length, cpu.length);
    assert.ok(moved > 1e-2, 'the weights moved further than they may differ');
    assert.ok(worst < 1e-3, `weights differ by up to ${worst}`);
  });
});
