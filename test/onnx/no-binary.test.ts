import assert from 'node:assert/strict';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeTinyModel } from '../serve/tiny-model.js';
import { alexnetOf, temporaryProject } from '../train/temporary-project.js';

const SYSTEMS =
  'its binaries are for Linux with glibc \\(x64, arm64\\), macOS on Apple silicon and Windows \\(x64, arm64\\)';

describe('where onnxruntime-node has no binary', () => {
  let project: string;
  let binaries: string;
  let model: string;
  before(async () => {
    project = await temporaryProject();
    const installed = join(project, 'node_modules/onnxruntime-node');
    const copy = join(project, 'onnxruntime-node');
    const filter = (path: string) => !path.includes(join('onnxruntime-node', 'bin'));
    await cp(installed, copy, { recursive: true, dereference: true, filter });
    await rm(installed);
    await cp(copy, installed, { recursive: true });
    binaries = join(installed, 'bin/napi-v6', process.platform, process.arch);
    model = writeTinyModel(join(project, 'tiny.onnx'));
  });
  after(() => rm(project, { recursive: true }));

  it('commands say for which systems it has them and what to do, and end with 1', async () => {
    const commands = [
      ['classify', '--model', model, 'x.png'],
      ['serve', '--model', model, '--port', '0'],
      ['export', '--run', 'x', '--out', 'x.onnx'],
      ['train', '--data', 'nowhere', '--model', 'cifar10-quick', '--out', 'x', '--backend', 'onnxruntime'],
    ];
    const ended = await Promise.all(commands.map((words) => alexnetOf(project, words)));
    for (const [i, { code, stderr }] of ended.entries()) {
      const system = `has no binary for ${process.platform} ${process.arch}`;
      const message = `^alexnet ${commands[i][0]}: onnxruntime-node ${system}; ${SYSTEMS}: use one of those`;
      assert.match(stderr, new RegExp(message, 'm'));
      assert.doesNotMatch(stderr, /\n\s+at /);
      assert.equal(code, 1);
    }
  });

  it('alexnet train continues with another backend, and says why', async () => {
    const { stderr } = await alexnetOf(project, [
      'train',
      '--data',
      'nowhere',
      '--model',
      'cifar10-quick',
      '--out',
      'x',
    ]);
    assert.match(stderr, /^backend cpu: plain JavaScript, slow; .*onnxruntime-node has no binary for/m);
  });

  it('a binary that does not load is told with the reason', async () => {
    await cp(join(project, 'node_modules/onnxruntime-node/package.json'), join(binaries, 'package.json'));
    await writeFile(join(binaries, 'onnxruntime_binding.node'), 'for another system');
    const { code, stderr } = await alexnetOf(project, ['classify', '--model', model, 'x.png']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^alexnet classify: onnxruntime-node does not load \(.+onnxruntime_binding\.node.+\); its binaries/m,
    );
  });
});
