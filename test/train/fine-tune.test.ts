/** `alexnet train --from RUN`, as a person runs it. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import sharp from 'sharp';
import { tf } from '../../base/tfjs/core.js';
import '../../model/index.js';
import { readMetadata } from '../../onnx/file/model-file.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { alexnet, json } from '../real/shared-process.js';
import { weightsOf } from './weights-of.js';

let folder: string;
const at = (...names: string[]) => join(folder, ...names);

async function writeImages(name: string, classes: Record<string, string>): Promise<void> {
  for (const split of ['train', 'val']) {
    for (const [label, background] of Object.entries(classes)) {
      await mkdir(at(name, split, label), { recursive: true });
      for (let i = 0; i < 4; i++) {
        const create = { width: 40 + i, height: 36, channels: 3, background } as const;
        await sharp({ create })
          .png()
          .toFile(at(name, split, label, `${i}.png`));
      }
    }
  }
}

const training = (out: string, ...words: string[]) => [
  'train',
  '--out',
  at(out),
  '--epochs',
  '1',
  '--batch',
  '4',
  ...words,
];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-fine-tune-'));
  await tf.setBackend('cpu');
  await writeImages('three', { cat: 'red', dog: 'blue', eel: 'green' });
  await writeImages('two', { moss: 'olive', rust: 'brown' });
  await json(...training('first', '--data', at('three'), '--model', 'cifar10-quick'));
});
after(() => rm(folder, { recursive: true }));

async function weights(run: string): Promise<Map<string, Float32Array>> {
  const { model } = await loadCheckpoint(at(run, 'last'));
  return weightsOf(model);
}

test('starts with the weights of the run, a new last layer, its mean; frozen layers stay as they were, others learn', async () => {
  const words = [
    '--data',
    at('two'),
    '--from',
    at('first'),
    '--classes',
    '2',
    '--freeze',
    'conv1..conv3',
    '--lr',
    '0.01',
  ];
  const report = await json<{ epochs: number }>(...training('second', ...words));
  assert.equal(report.epochs, 1);
  const [first, second] = [await weights('first'), await weights('second')];
  const names = [...first.keys()];
  const last = names.at(-2)!.split('/')[0];
  for (const name of names.filter((name) => name.startsWith('conv')))
    assert.deepEqual(second.get(name), first.get(name), name);
  const between = names.find((name) => !name.startsWith('conv') && !name.startsWith(last))!;
  assert.equal(second.get(between)!.length, first.get(between)!.length);
  assert.notDeepEqual(second.get(between), first.get(between));
  assert.equal(second.get(`${last}/bias`)!.length, 2);
  assert.deepEqual(await readFile(at('second', 'mean.bin')), await readFile(at('first', 'mean.bin')));
  const config = JSON.parse(await readFile(at('second', 'config.json'), 'utf8')).config;
  assert.deepEqual(config.freeze, ['conv1', 'conv2', 'conv3']);
});

test('continues with frozen layers after --resume', async () => {
  const before = await weights('second');
  const ended = await alexnet('train', '--resume', '--out', at('second'), '--epochs', '2');
  assert.equal(ended.code, 0, ended.stderr);
  const after = await weights('second');
  assert.deepEqual(after.get('conv2/kernel'), before.get('conv2/kernel'));
  assert.notDeepEqual([...after.values()].at(-2), [...before.values()].at(-2));
});

test('keeps the last layer if the classes are the same', async () => {
  await json(...training('same', '--data', at('three'), '--from', at('first'), '--lr', '1e-12'));
  const [first, same] = [await weights('first'), await weights('same')];
  for (const [name, values] of first) {
    for (const [i, value] of values.entries()) assert.ok(Math.abs(value - same.get(name)![i]) < 1e-6, name);
  }
});

test('takes the way to resize along from an imported network, into the run and its exported file', async () => {
  await cp(at('first'), at('imported'), { recursive: true });
  const config = at('imported', 'config.json');
  const record = JSON.parse(await readFile(config, 'utf8'));
  const imported = { file: 'weights.pth', sha256: '', resampling: 'bilinear' };
  await writeFile(config, JSON.stringify({ ...record, imported }));
  await json(...training('bilinear', '--data', at('two'), '--from', at('imported')));
  assert.equal(JSON.parse(await readFile(at('bilinear', 'config.json'), 'utf8')).resampling, 'bilinear');
  const file = at('bilinear.onnx');
  await json('export', '--run', at('bilinear'), '--out', file);
  assert.equal((await readMetadata(file)).resampling, 'bilinear');

  const [pack, other] = [at('pack'), at('other-pack')];
  await json('prepare', '--data', at('two'), '--size', '32', '--out', pack, '--resampling', 'bilinear');
  await json('prepare', '--data', at('two'), '--size', '32', '--out', other);
  const evaluate = (data: string) => alexnet('evaluate', '--onnx', file, '--data', data);
  assert.doesNotMatch((await evaluate(pack)).stderr, /warning/);
  assert.match((await evaluate(other)).stderr, /resized in another way .*; prepare it with --resampling bilinear/);
});

test('says what is wrong', async () => {
  const data = ['--data', at('two'), '--from', at('first')];
  const cases: [string[], number, RegExp][] = [
    [[...data, '--classes', '7'], 1, /--classes 7: .*two has 2 classes/],
    [[...data, '--freeze', 'conv9'], 2, /cifar10-quick has no layer "conv9" with weights; there are: conv1, conv2/],
    [[...data, '--freeze', 'conv3..conv1'], 2, /expected FIRST\.\.LAST in the order/],
    [[...data, '--model', 'alexnet'], 2, /first is of the network cifar10-quick; leave --model out/],
    [['--data', at('two'), '--from', at('nowhere')], 1, /nowhere: holds no run/],
    [['--data', at('two'), '--from', at('bad')], 2, /--from and --out are the same folder/],
  ];
  for (const [words, code, message] of cases) {
    const ended = await alexnet(...training('bad', ...words));
    assert.match(ended.stderr, message, words.join(' '));
    assert.equal(ended.code, code, ended.stderr);
  }
});
