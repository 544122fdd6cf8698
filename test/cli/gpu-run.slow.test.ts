import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { random } from '../../base/random.js';
import { onSwiftshader, withoutSwiftshader as skip } from '../onnx/swiftshader.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-gpu-run-'));
after(() => rmSync(folder, { recursive: true }));

function alexnet(...words: string[]): { stdout: string; stderr: string } {
  const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
  const { status, ...printed } = spawnSync(process.execPath, [cli, ...words], { env: onSwiftshader, encoding: 'utf8' });
  assert.equal(status, 0, printed.stderr);
  return printed;
}

async function noise(split: string, count: number): Promise<void> {
  for (const label of ['ant', 'bee']) {
    mkdirSync(join(folder, 'data', split, label), { recursive: true });
    for (let i = 0; i < count; i++) {
      const stream = random(split, label, i);
      const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, () => stream.integer(256));
      const raw = { width: 32, height: 32, channels: 3 } as const;
      await sharp(pixels, { raw })
        .png()
        .toFile(join(folder, 'data', split, label, `${i}.png`));
    }
  }
}

test('a run trained on WebGPU is saved, and has the same loss on the CPU', { skip }, async () => {
  await noise('train', 4);
  await noise('val', 2);
  const [data, run] = [join(folder, 'data'), join(folder, 'run')];
  const words = ['--data', data, '--model', 'cifar10-quick', '--out', run, '--epochs', '1', '--batch', '4'];
  const { stderr } = alexnet('train', ...words, '--provider', 'webgpu');
  assert.match(stderr, /^backend onnxruntime: onnxruntime-node on webgpu, .+ SwiftShader Device/m);
  const loss = (provider: string) => {
    const flags = ['--run', run, '--checkpoint', 'last', '--split', 'val', '--provider', provider, '--json'];
    return (JSON.parse(alexnet('evaluate', ...flags).stdout) as { loss: number }).loss;
  };
  const [cpu, webgpu] = [loss('cpu'), loss('webgpu')];
  assert.ok(Math.abs(cpu - webgpu) < 1e-4, `losses ${cpu} and ${webgpu}`);
});
