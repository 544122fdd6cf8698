/** `alexnet learn DIR`, as a person runs it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import { alexnetAs, type Finished } from '../real/command.js';
import { alexnetIn } from '../real/shared-process.js';
import { writeNoise, writeOrigin } from '../train/frozen/origin.js';

let cwd: string;
let first: Finished;

const alexnet = (...words: string[]) => alexnetIn(cwd, ...words);

before(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'alexnet-learn-'));
  process.env.ALEXNET_CACHE = join(cwd, 'cache');
  await tf.setBackend('cpu');
  await writeNoise(join(cwd, 'photos'), 20);
  await writeOrigin(join(cwd, 'known'), 10);
  first = await alexnet('learn', 'photos', '--from', 'known', '--epochs', '8');
});
after(() => rm(cwd, { recursive: true }));

test('tells in short lines what it starts from, learns and finds, and what to type next', () => {
  const { code, stdout, stderr } = first;
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.match(stdout, /^Weights {2}cifar10-quick\.dropout from known, which knows 10 classes\n/);
  assert.match(
    stdout,
    /^Images {3}40 images of 2 classes in photos: class 0, class 1\n {9}\d+ to learn from, \d+ held out/m,
  );
  assert.match(
    stdout,
    /^Learn {4}conv1 to fc64 stay as they are: .*\n {9}fc10 learns the 2 classes from it, in 8 passes\n/m,
  );
  assert.match(stdout, /^Measure {2}(\d+) of (\d+) images wrong: .*\(guessing: 50\.0 %\)\n/m);
  assert.match(stdout, /^ {9}kept: pass [1-8] of 8, which had the fewest of these wrong\n/m);
  const byClass = /^ {9}wrong by class: class \d (\d+) of (\d+), class \d (\d+) of (\d+)$/m.exec(stdout)!;
  const [wrongA, ofA, wrongB, ofB] = byClass.slice(1).map(Number);
  assert.deepEqual([wrongA + wrongB, ofA + ofB], /^Measure {2}(\d+) of (\d+)/m.exec(stdout)!.slice(1).map(Number));
  assert.ok(wrongA / ofA >= wrongB / ofB, stdout);
  assert.match(stdout, /npx alexnet serve --model runs\/photos\/photos\.onnx\n/);
  const example = /curl --data-binary '@(photos\/class \d\/\d+\.png)' http:\/\/127\.0\.0\.1:8080\/classify$/.exec(
    stdout.trimEnd(),
  );
  assert.ok(example && existsSync(join(cwd, example[1])), stdout);
  assert.ok(
    lines.every((line) => line.length <= 110),
    stdout,
  );
  assert.doesNotMatch(stderr, /weightDecay|epoch 1\/8 {2}loss/);
});

test('leaves a run, its report, and a file that classifies', async () => {
  const files = await readdir(join(cwd, 'runs/photos'));
  for (const name of ['best', 'config.json', 'photos.onnx', 'report.html']) assert.ok(files.includes(name), name);
  const { config } = JSON.parse(await readFile(join(cwd, 'runs/photos/config.json'), 'utf8'));
  assert.deepEqual(config.freeze, ['conv1', 'conv2', 'conv3', 'fc64']);
  const answer = await alexnet('classify', '--model', 'runs/photos/photos.onnx', 'photos/class 0/0.png');
  const told = await alexnet('classify', '--model', 'runs/photos/photos.onnx', 'photos/class 0/0.png', '--json');
  assert.deepEqual(JSON.parse(told.stdout).model, { name: 'photos', version: '1' });
  assert.match(answer.stdout, /class 0 +[\d.]+ %/);
});

test('says so if an image has fewer different views than asked for', async () => {
  const few =
    /^warning: --views (\d+): an image has only 1 distinct view, because the network trains on whole images, never/m;
  for (const views of ['10', '7']) {
    const { code, stderr } = await alexnet(
      ...['learn', 'photos', '--from', 'known', '--epochs', '1', '--views', views, '--out', `runs/${views}`],
    );
    assert.equal(code, 0, stderr);
    assert.equal(few.exec(stderr)?.[1], views, stderr);
  }
  assert.doesNotMatch(first.stderr, /--views/);
});

test('refuses what it would replace, and says what it expected of folder and weights', async () => {
  const cases: [string[], number, RegExp][] = [
    [
      ['photos', '--from', 'known'],
      1,
      /runs\/photos: holds a run already; another --out keeps both, --force replaces it/,
    ],
    [['nowhere'], 1, /nowhere: no such file or folder; expected a folder with a folder of images for each class/],
    [
      ['photos', '--out', 'x', '--from', 'torchvison'],
      1,
      /--from torchvison: nothing there; expected a run, a file of weights/,
    ],
    [
      ['photos', '--out', 'x', '--from', 'http://weights.invalid/net.pth'],
      1,
      /weights\.invalid cannot be found; .*\nOr fetch it elsewhere .*\nOr learn from a run of your own: --from runs\/demo/,
    ],
    [['photos', '--out', 'x', '--from', 'photos'], 1, /--from photos: a folder without a run; expected a run, a file/],
    [[], 2, /missing required argument 'dir'/],
    // before weights are fetched
    [['texts'], 1, /texts: no images found/],
    [['single'], 1, /single: only one class, a\/; a classifier needs at least two/],
  ];
  await mkdir(join(cwd, 'texts/a'), { recursive: true });
  await writeFile(join(cwd, 'texts/a/a.txt'), 'no image');
  await cp(join(cwd, 'photos/class 0'), join(cwd, 'single/a'), { recursive: true });
  const ended = await Promise.all(cases.map(([words]) => alexnet('learn', ...words)));
  for (const [i, [words, code, message]] of cases.entries()) {
    assert.match(ended[i].stderr, message, words.join(' '));
    assert.equal(ended[i].code, code, ended[i].stderr);
  }
  assert.equal(existsSync(join(cwd, 'x')), false);
});

test('reads the images once and warns once of what is wrong with them', async () => {
  await cp(join(cwd, 'photos'), join(cwd, 'flawed'), { recursive: true });
  const [name] = (await readdir(join(cwd, 'flawed/class 0'))).sort();
  await cp(join(cwd, 'flawed/class 0', name), join(cwd, 'flawed/class 1/twin.png'));
  await writeFile(join(cwd, 'flawed/class 1/broken.jpg'), 'no image');
  const { code, stderr } = await alexnet('learn', 'flawed', '--from', 'known', '--epochs', '2');
  assert.equal(code, 0, stderr);
  const lines = stderr.trimEnd().split('\n');
  for (const start of ['backend ', 'warning: skipped class 1/broken.jpg: ', 'warning: the same image in two classes: '])
    assert.equal(lines.filter((line) => line.startsWith(start)).length, 1, stderr);
});

test('learns from a file of weights too, which is imported once, and --json tells the result', async () => {
  const words = ['learn', 'photos', '--from', 'runs/photos/photos.onnx', '--epochs', '2', '--json'];
  const { code, stdout, stderr } = await alexnet(...words, '--out', 'second');
  assert.equal(code, 0, stderr);
  const learnt = JSON.parse(stdout);
  assert.equal(learnt.model, 'second/photos.onnx');
  assert.equal(learnt.classes, 2);
  assert.equal(learnt.images.train + learnt.images.val, 40);
  assert.equal((await readdir(join(cwd, 'cache/imported'))).length, 1);
  assert.match(stderr, /^ {9}\d+ MB kept in \S+\/cache for the next time; delete the folder to free them$/m);
});

const onLinux = { skip: process.platform !== 'linux' && 'needs /proc, which cannot hold folders' };

test('names ALEXNET_CACHE if what it imports cannot be kept there', onLinux, async () => {
  const cache = process.env.ALEXNET_CACHE;
  process.env.ALEXNET_CACHE = '/proc/x';
  try {
    const words = ['learn', 'photos', '--out', 'uncached', '--from', join('photos', 'class 0', '0.png')];
    const { code, stderr } = await alexnetAs({ cwd }, ...words);
    assert.match(
      stderr,
      /\/proc\/x\/imported: cannot create or write a folder there; choose another with ALEXNET_CACHE/,
    );
    assert.equal(code, 1);
  } finally {
    process.env.ALEXNET_CACHE = cache;
  }
});
