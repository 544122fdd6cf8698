import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { load } from '../bench/http-load.js';
import { corner } from './images.js';
import { alexnet } from './running.js';
import { writeTinyModel } from './tiny-model.js';

/** SwiftShader, a GPU in software, as Debian's chromium brings it. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const skip = existsSync(SWIFTSHADER) ? false : `needs ${SWIFTSHADER} (Debian's chromium)`;
const folder = mkdtempSync(join(tmpdir(), 'alexnet-gpu-'));
after(() => rmSync(folder, { recursive: true }));

test('images that wait share runs on a GPU provider', { skip }, async (t) => {
  process.env.VK_DRIVER_FILES = SWIFTSHADER;
  const file = writeTinyModel(join(folder, 'tiny.onnx'));
  const server = alexnet('serve', '--model', file, '--port', '0', '--provider', 'webgpu');
  const { url, provider } = JSON.parse(await server.line);
  assert.equal(provider, 'webgpu');
  const images = [await corner(2, 400, 300).jpeg().toBuffer()];
  const { answers, errors } = await load({ url, path: '/classify', live: '/ping', images, clients: 8, seconds: 4 });
  const text = await (await fetch(`${url}/metrics`)).text();
  const counter = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1]);
  t.diagnostic(`${counter('nv_inference_count')} images in ${counter('nv_inference_exec_count')} runs`);
  assert.equal(errors, 0);
  assert.equal(counter('nv_inference_count'), answers);
  assert.ok(counter('nv_inference_exec_count') < answers / 2);
});
