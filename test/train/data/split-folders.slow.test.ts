/** Every command that reads images takes the same folders for the same splits. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { alexnet } from '../../real/command.js';
import { type Files, tarBytes, temporaryFolder, writeArchive, writeFiles } from './tiny-images.js';

const image = (background: string) =>
  sharp({ create: { width: 40, height: 36, channels: 3, background } })
    .png()
    .toBuffer();

for (const [form, names] of [
  ['a folder', ['Training_Set', 'dev', 'TEST']],
  ['a .tar', ['xyz_train', 'xyz_valid', 'xyz_test']],
  ['a .tar.gz', ['archive/a/train/train', 'archive/a/Validation', 'archive/a/test/test']],
] as const) {
  test(`train, evaluate, report, prepare, index, export and reproduce agree on the splits of ${form}`, async (t) => {
    const files: Files = {};
    for (const [i, name] of names.entries()) {
      for (const background of ['red', 'blue'])
        for (let n = 0; n < 5 - i; n++) files[`${name}/${background}/${n}.png`] = await image(background);
    }
    const out = await temporaryFolder(t);
    const archive = async () => writeArchive(t, form === 'a .tar' ? 'p.tar' : 'p.tar.gz', await tarBytes(files));
    const data = ['--data', await (form === 'a folder' ? writeFiles(t, files) : archive())];
    const at = (name: string) => join(out, name);
    const says = `warning: splits by the names of folders: `;
    const run = async (command: string, ...words: string[]) => {
      const { code, stdout, stderr } = await alexnet(command, ...words);
      assert.equal(code, 0, `${command}: ${stderr}`);
      assert.ok(stderr.includes(says) && stderr.includes(`${names[1]}/ as val`), `${command}: ${stderr}`);
      return JSON.parse(stdout.trim().split('\n').at(-1)!);
    };
    const network = ['--model', 'cifar10-quick', '--backend', 'onnxruntime'];
    const trained = ['--batch', '4', '--epochs', '1', '--json'];
    await run('train', ...data, ...network, ...trained, '--out', at('run'));
    for (const [split, images] of Object.entries({ train: 10, val: 8, test: 6 })) {
      const evaluated = await run('evaluate', '--run', at('run'), '--split', split, '--json');
      assert.equal(evaluated.images, images, split);
    }
    await run('report', at('run'), '--split', 'test', '--json');
    const { splits } = await run('prepare', ...data, '--size', '32', '--out', at('pack'), '--json');
    assert.deepEqual(splits, { train: 10, val: 8, test: 6 });
    if (form !== 'a .tar.gz') {
      const streamed = await run('train', ...data, ...network, ...trained, '--stream', '--dry-run');
      assert.deepEqual(streamed.pictures, { train: 10, val: 8 });
    }
    const model = at('model.onnx');
    const [, calibrate] = data;
    await run('export', '--run', at('run'), '--precision', 'int8', '--calibrate', calibrate, '--out', model, '--json');
    const index = ['--model', at('float.onnx'), ...data, '--out', at('index'), '--json'];
    assert.equal((await alexnet('export', '--run', at('run'), '--out', at('float.onnx'))).code, 0);
    assert.equal((await run('index', ...index, '--split', 'val')).pictures, 8);
    await run('reproduce', 'overlap', ...data, ...network, '--epochs', '1', '--out', at('overlap'), '--json');
  });
}
