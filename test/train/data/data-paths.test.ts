/** A run knows its data set from any folder, and sees when the images in it were moved. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { absoluteSource } from '../../../train/data/open-dataset.js';
import type { Finished } from '../../real/command.js';
import { alexnetIn } from '../../real/shared-process.js';
import { plainPng } from './tiny-images.js';

let folder: string;
let project: string;
/** Commands in the project's folder, and in another. */
let here: (...words: string[]) => Promise<Finished>;
let elsewhere: typeof here;
const backend = ['--backend', 'onnxruntime'];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-paths-'));
  project = join(folder, 'project');
  for (const split of ['train', 'val']) {
    for (const [name, png] of [
      ['cat', await plainPng(250, 10, 20)],
      ['dog', await plainPng(10, 20, 250)],
    ] as const) {
      await mkdir(join(project, 'pictures', split, name), { recursive: true });
      for (let i = 0; i < 3; i++) await writeFile(join(project, 'pictures', split, name, `${i}.png`), png);
    }
  }
  await mkdir(join(folder, 'other'));
  here = (...words) => alexnetIn(project, ...words);
  elsewhere = (...words) => alexnetIn(join(folder, 'other'), ...words);
  const began = await train('run');
  assert.equal(began.code, 0, began.stderr);
});
after(() => rm(folder, { recursive: true }));

const train = (out: string, ...words: string[]) =>
  here(
    'train',
    '--data',
    'pictures',
    '--model',
    'cifar10-quick',
    '--batch',
    '3',
    '--epochs',
    '1',
    ...backend,
    '--out',
    out,
    ...words,
  );
const record = async (run = join(project, 'run')) => JSON.parse(await readFile(join(run, 'config.json'), 'utf8'));

async function succeeds(command: Promise<Finished>): Promise<Finished> {
  const ended = await command;
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

test('makes paths absolute in every form of a source that has one', () => {
  const at = resolve('DIR');
  for (const [typed, absolute] of [
    ['DIR', at],
    ['./DIR/../DIR', at],
    ['DIR.tar.gz', `${at}.tar.gz`],
    ['./emoji', resolve('emoji')],
    ['emoji', 'emoji'],
    ['cifar10:DIR', `cifar10:${at}`],
    ['idx:./DIR', `idx:${at}`],
    ['ilsvrc2012:DIR', `ilsvrc2012:${at}`],
    ['webdataset:DIR', `webdataset:${at}`],
    ['cifar10:/data', 'cifar10:/data'],
    ['https://host/DIR', 'https://host/DIR'],
    [
      'webdataset:https://host/a-{0..3}.tar::https://host/val.tar',
      'webdataset:https://host/a-{0..3}.tar::https://host/val.tar',
    ],
    ['odd:DIR', resolve('odd:DIR')],
  ]) {
    assert.equal(absoluteSource(typed), absolute);
    assert.equal(absoluteSource(absolute), absolute);
  }
});

test('continues a run from another folder, measures and reports it there, and shows the data set as it was typed', async () => {
  const { config, paths } = await record();
  assert.deepEqual([config.data, paths], ['pictures', { data: join(project, 'pictures') }]);
  const run = '../project/run';
  const resumed = await succeeds(elsewhere('train', '--resume', '--out', run, '--epochs', '2', ...backend));
  assert.match(resumed.stderr, /continuing after step 2\n/);
  assert.match(resumed.stderr, /cifar10-quick on pictures, 6 train and 6 val/);
  await succeeds(elsewhere('train', '--resume', '--out', run, '--data', '../project/pictures', ...backend));
  const evaluated = await succeeds(elsewhere('evaluate', '--run', run, '--split', 'val', ...backend, '--json'));
  const { data, images } = JSON.parse(evaluated.stdout);
  assert.deepEqual([data, images], ['pictures', 6]);
  await succeeds(elsewhere('report', run, '--out', 'report.html', ...backend));
  const html = await readFile(join(folder, 'other/report.html'), 'utf8');
  assert.match(html, /cifar10-quick on pictures/);
  assert.doesNotMatch(html, /data set is not available/);
  assert.ok(!html.includes(project), 'a report shows no path of this machine');
  await succeeds(elsewhere('export', '--run', run, '--out', 'model.onnx'));
  const file = await readFile(join(folder, 'other/model.onnx'));
  assert.ok(!file.includes(project) && file.includes('pictures'), 'an exported file holds no path of this machine');
});

test('continues a run that was moved together with its data set', async () => {
  const moved = join(folder, 'moved');
  await cp(project, moved, { recursive: true });
  const hidden = join(folder, 'gone');
  await rename(join(project, 'pictures'), hidden);
  try {
    await succeeds(alexnetIn(moved, 'train', '--resume', '--out', 'run', ...backend));
    assert.deepEqual((await record(join(moved, 'run'))).paths, { data: join(moved, 'pictures') });
    const lost = await elsewhere('train', '--resume', '--out', '../project/run', ...backend);
    assert.equal(lost.code, 1);
    assert.match(lost.stderr, new RegExp(`alexnet train: ${join(project, 'pictures')}: no such file or folder`));
  } finally {
    await rename(hidden, join(project, 'pictures'));
  }
});

test('continues a run of an earlier version where it was begun, and from anywhere from then on', async () => {
  const { paths: _, pictureNames: __, ...earlier } = await record();
  const config = join(project, 'run/config.json');
  await writeFile(config, JSON.stringify(earlier));
  const lost = await elsewhere('train', '--resume', '--out', '../project/run', ...backend);
  assert.match(lost.stderr, /alexnet train: pictures: no such file or folder/);
  await succeeds(here('train', '--resume', '--out', 'run', '--data', './pictures', ...backend));
  await succeeds(elsewhere('train', '--resume', '--out', '../project/run', ...backend));
  const { paths, pictureNames: imageNames } = await record();
  assert.equal(paths.data, join(project, 'pictures'));
  assert.match(imageNames.train, /^[0-9a-f]{64}$/);
});

test('starts from another run by its absolute path', async () => {
  await succeeds(here('train', '--data', 'pictures', '--from', 'run', '--epochs', '1', ...backend, '--out', 'tuned'));
  const tuned = join(project, 'tuned');
  assert.equal((await record(tuned)).config.from, 'run');
  for (const checkpoint of ['last', 'best']) await rm(join(tuned, checkpoint), { recursive: true });
  for (const words of [[], ['--from', '../project/run']]) {
    const resumed = await succeeds(elsewhere('train', '--resume', '--out', '../project/tuned', ...words, ...backend));
    assert.match(
      resumed.stderr,
      words.length ? /tuned has finished its 1 epoch;/ : /no checkpoint yet: starting at step 0/,
    );
  }
});

test('will not continue after images were moved between classes, unless forced', async () => {
  await succeeds(here('train', '--resume', '--out', 'run', ...backend));
  const images = join(project, 'pictures/train');
  // One a class to the other: numbers stay the same.
  await rename(join(images, 'cat/0.png'), join(images, 'dog/9.png'));
  await rename(join(images, 'dog/0.png'), join(images, 'cat/9.png'));
  const refused = await here('train', '--resume', '--out', 'run', ...backend);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /pictures: not the data set that run was trained on: as many images of train, but with other names or in other classes; put them back, or add --force/,
  );
  const forced = await succeeds(here('train', '--resume', '--out', 'run', '--force', '--epochs', '3', ...backend));
  assert.match(forced.stderr, /changed: pictureNames was \{"train":"[0-9a-f]{64}/);
  assert.doesNotMatch(forced.stderr, /validationPictures/);
  await succeeds(here('train', '--resume', '--out', 'run', ...backend));
});
