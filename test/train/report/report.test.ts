/** A small run is trained once; its report is read back and compared with files and numbers that other code made. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { silentProgress } from '../../../base/progress.js';
import { random } from '../../../base/random.js';
import { tf } from '../../../base/tfjs/core.js';
import type { MetricsLine } from '../../../train/metrics/metrics-file.js';
import { gather, type ReportRequest } from '../../../train/report/gather.js';
import { page } from '../../../train/report/page.js';
import { loadCheckpoint } from '../../../train/run/load-checkpoint.js';
import type { RunRecord } from '../../../train/run/run-folder.js';
import { startTraining } from '../../../train/start/start.js';
import { alexnetIn } from '../../real/shared-process.js';
import { tarBytes } from '../data/tiny-images.js';
import { axisOf, linesOf } from '../plot/read-plot.js';

/** In index order; names of folders, as anyone may give them. */
const LABELS = ['"quoted" & more', '<img src=x onerror=alert(1)>', 'plain'];
const ESCAPED = ['&quot;quoted&quot; &amp; more', '&lt;img src=x onerror=alert(1)&gt;', 'plain'];
const SIDE = 32;
/** Validation images by class. */
const COUNTS = [4, 7, 6];
const INTERRUPT = { signal: undefined, close: () => undefined };

let folder: string;
let run: string;
let data: string;
/** In the order of the data set: by path. */
const valImages: { name: string; label: number; pixels: Uint8Array }[] = [];

/** Noise, whose class is a little brightness in one colour: some are recognised, some are not. */
function noise(label: number, ...names: (string | number)[]): Uint8Array {
  const stream = random(...names, label);
  return Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => stream.integer(180) + (i % 3 === label ? 4 : 0));
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-report-'));
  [run, data] = [join(folder, 'run'), join(folder, 'pictures.tar')];
  const files: Record<string, Buffer> = {};
  const png = (pixels: Uint8Array) =>
    sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .png()
      .toBuffer();
  for (const [label, name] of LABELS.entries()) {
    for (let i = 0; i < 16; i++) files[`train/${name}/${i}.png`] = await png(noise(label, 'train', i));
    for (let i = 0; i < COUNTS[label]; i++) {
      const image = { name: `val/${name}/${i}.png`, label, pixels: noise(label, 'val', i) };
      valImages.push(image);
      files[image.name] = await png(image.pixels);
    }
  }
  await writeFile(data, await tarBytes(files));
  const settings = { epochs: 3, batch: 7, learningRate: 0.001 };
  const request = { out: run, data, model: 'cifar10-quick', settings, backend: 'onnxruntime' } as const;
  const rest = { resume: false, force: false, checkpointMinutes: 5 };
  await startTraining({ ...request, ...rest }, silentProgress, INTERRUPT);
});
after(() => rm(folder, { recursive: true }));

async function reportOf(request: Partial<ReportRequest> = {}): Promise<string> {
  const report = await gather(
    { run, checkpoint: 'best', crops: 10, backend: 'onnxruntime', ...request },
    silentProgress,
  );
  return page(report, new Date('2024-02-03T04:05:06Z'));
}

/** Text of an element's cells, tags left out, row by row. */
function tableOf(text: string, caption: string): string[][] {
  const found = [...text.matchAll(/<table[^>]*><caption>([^<]*)<\/caption>(.*?)<\/table>/gs)];
  const rows = found.find(([, name]) => name.startsWith(caption))![2].matchAll(/<tr>(.*?)<\/tr>/gs);
  return [...rows].map(([, row]) =>
    [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell.replace(/<[^>]*>/g, '')),
  );
}

const percent = (fraction: number, digits = 2) => `${(100 * fraction).toFixed(digits)} %`;

/** Number of digits; 1e-4 for what float32 sums in another order differ by. */
function assertShown(text: string, value: number, digits: number): void {
  assert.ok(Math.abs(Number(text) - value) < 0.5 * 10 ** -digits + 1e-4, `expected ${value}, shown ${text}`);
}

/**
 * What the checkpoint says of every image, computed from the files with nothing of the evaluation: logits, softmax,
 * loss.
 */
async function answersByHand(mirrored: boolean) {
  const mean = new Float32Array(Uint8Array.from(await readFile(join(run, 'mean.bin'))).buffer);
  const { model } = await loadCheckpoint(join(run, 'best'));
  return valImages.map(({ name, label, pixels }) => {
    const views = (mirrored ? [false, true] : [false]).map((mirror) => {
      const input = Float32Array.from(pixels, (_, i) => {
        const [c, x, y] = [i % 3, Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)];
        const from = (y * SIDE + (mirror ? SIDE - 1 - x : x)) * 3 + c;
        return pixels[from] - mean[from];
      });
      const logits = (model.predict(tf.tensor(input, [1, SIDE, SIDE, 3])) as tf.Tensor).dataSync<'float32'>();
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      return Array.from(logits, (logit) => Math.exp(logit) / sum);
    });
    const probabilities = views[0].map((_, c) => views.reduce((sum, view) => sum + view[c] / views.length, 0));
    const predicted = probabilities.indexOf(Math.max(...probabilities));
    return { name, label, predicted, probabilities, loss: -Math.log(probabilities[label]) };
  });
}

test('gives the errors, the losses and the confusions that a computation of its own gives', async () => {
  const text = await reportOf();
  const single = await answersByHand(false);
  const both = await answersByHand(true);
  const crops = tableOf(text, 'Errors by crops');
  for (const [i, answers] of [single, both].entries()) {
    const error = answers.filter(({ label, predicted }) => label !== predicted).length / valImages.length;
    const deviation = Math.sqrt((error * (1 - error)) / valImages.length);
    const loss = answers.reduce((sum, answer) => sum + answer.loss, 0) / valImages.length;
    const [, top1, shownLoss] = crops[1 + i];
    assert.equal(top1, `${percent(error)} ± ${(100 * deviation).toFixed(2)}`);
    assertShown(shownLoss, loss, 4);
  }
  assert.deepEqual([crops[1][0], crops[2][0]], ['centre crop', 'image and mirror image, averaged']);

  const matrix = LABELS.map((_, label) =>
    LABELS.map((__, predicted) => single.filter((a) => a.label === label && a.predicted === predicted).length),
  );
  assert.ok(matrix.flat().filter((count) => count > 0).length > 3, 'some mistakes are made, or this test shows little');
  const shown = tableOf(text, 'Confusion matrix').slice(1);
  assert.deepEqual(
    shown.map(([name]) => name),
    ESCAPED,
  );
  assert.deepEqual(
    shown.map(([, ...cells]) => cells.map(Number)),
    matrix,
  );
  for (const [name, count, error, mistake] of tableOf(text, 'Classes').slice(1)) {
    const label = ESCAPED.indexOf(name);
    assert.equal(Number(count), COUNTS[label]);
    assert.equal(error, percent(1 - matrix[label][label] / COUNTS[label], 1));
    const most = Math.max(...matrix[label].filter((_, predicted) => predicted !== label));
    assert.ok(most === 0 ? mistake === '' : mistake.endsWith(`(${most})`), `${name}: ${mistake}`);
  }
});

test('shows the images with the greatest losses first, themselves, with their classes and probabilities', async () => {
  const text = await reportOf();
  const expected = (await answersByHand(false)).toSorted((a, b) => b.loss - a.loss);
  const cards = [...text.matchAll(/<li><figure>(.*?)<\/figure><\/li>/gs)].map(([, card]) => card);
  assert.equal(cards.length, valImages.length); // fewer than the 24 of a larger split
  for (const [i, { name, label, predicted, probabilities, loss }] of expected.entries()) {
    const escaped = name.replace(LABELS[label], ESCAPED[label]);
    const said = cards[i].match(
      /true <b>(.*?)<\/b> .*?>([\d.]+) %.*predicted <b>(.*?)<\/b> .*?>([\d.]+) %.*loss ([\d.]+), (.*?)</s,
    )!;
    assert.deepEqual([said[1], said[3], said[6]], [ESCAPED[label], ESCAPED[predicted], escaped]);
    assertShown(said[2], 100 * probabilities[label], 2);
    assertShown(said[4], 100 * probabilities[predicted], 2);
    assertShown(said[5], loss, 2);
    assert.ok(cards[i].includes(`alt="${ESCAPED[label]}, predicted ${ESCAPED[predicted]}"`));
    const [, base64] = cards[i].match(/src="data:image\/png;base64,([^"]*)"/)!;
    const pixels = await sharp(Buffer.from(base64, 'base64')).raw().toBuffer();
    assert.ok(pixels.equals(valImages.find((image) => image.name === name)!.pixels), `the image of ${name}`);
  }
});

test('draws and lists what metrics.jsonl says', async () => {
  const text = await reportOf();
  const metrics = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const lines = metrics.map((line) => JSON.parse(line) as MetricsLine);
  const ends = lines.filter(({ val_loss }) => val_loss !== undefined);
  const steps = lines.filter(({ val_loss }) => val_loss === undefined);
  assert.deepEqual([ends.length, steps.length], [3, 2]); // 7 updates an epoch, 21 in all

  const svgs = [...text.matchAll(/<svg .*?<\/svg>/gs)].map(([svg]) => svg);
  const curves = [
    { plot: 0, colour: '#0072b2', points: ends.map(({ epoch, val_loss }) => [epoch, val_loss]) },
    { plot: 0, colour: '#d55e00', points: ends.map(({ epoch, loss }) => [epoch, loss]) },
    { plot: 1, colour: '#0072b2', points: ends.map((line) => [line.epoch, 100 * line.val_top1_error!]) },
    { plot: 1, colour: '#d55e00', points: ends.map((line) => [line.epoch, 100 * line.train_top1_error]) },
    { plot: 2, colour: '#0072b2', points: lines.map(({ step, lr }) => [step / 7, lr]) },
    { plot: 3, colour: '#0072b2', points: lines.map((line) => [line.step / 7, line.images_per_second]) },
  ];
  for (const { plot, colour, points } of curves) {
    const drawn = linesOf(svgs[plot], colour).flat();
    assert.equal(drawn.length, points.length, `plot ${plot}, ${colour}`);
    // half a pixel and rounding
    const tolerance = [0, 1].map((axis) => 0.6 * axisOf(svgs[plot], axis as 0 | 1).perPixel);
    for (const [i, [x, y]] of drawn.entries()) {
      const isNear = Math.abs(x - points[i][0]) < tolerance[0] && Math.abs(y - points[i][1]) < tolerance[1];
      assert.ok(isNear, `plot ${plot}, ${colour}, point ${i}: expected ${points[i]}, drawn ${[x, y]}`);
    }
  }
  const listed = tableOf(text, 'Epoch by epoch').slice(1);
  assert.deepEqual(
    listed.map((row) => [row[0], row[1], row[3], row[4], row[5], row[6]]),
    ends.map((line) => [
      String(line.epoch),
      String(line.step),
      line.loss.toFixed(4),
      percent(line.train_top1_error),
      line.val_loss.toFixed(4),
      percent(line.val_top1_error!),
    ]),
  );
  assert.doesNotMatch(text, /top-5/); // of three classes
});

test('says every setting and version as config.json has them', async () => {
  const text = await reportOf();
  const { config, versions } = JSON.parse(await readFile(join(run, 'config.json'), 'utf8')) as RunRecord;
  const settings = tableOf(text, 'As in config.json').slice(1);
  const escaped = (value: unknown) => JSON.stringify(value).replaceAll('"', '&quot;');
  assert.deepEqual(
    settings,
    Object.entries(config).map(([key, value]) => [key, escaped(value)]),
  );
  for (const [name, trained] of tableOf(text, 'Versions').slice(1)) assert.equal(trained, versions[name]);
});

test('loads nothing and runs nothing: escaped names, no script, no address', async () => {
  const text = await reportOf();
  assert.doesNotMatch(text, /<script|<img src=x|<link|@import|onerror=(?!alert\(1\)&gt;)/);
  const addresses = [...text.matchAll(/(?:src|href|srcset|action|data|poster)="([^"]*)"|url\(([^)]*)\)/g)].map(
    (m) => m[1] ?? m[2],
  );
  assert.ok(addresses.length > 20);
  for (const address of addresses) assert.match(address, /^(data:image\/png;base64,|#)/);
  assert.doesNotMatch(text.replaceAll('xmlns="http://www.w3.org/2000/svg"', ''), /https?:/);
  for (const [, id] of text.matchAll(/href="#([^"]*)"/g)) assert.ok(text.includes(`<section id="${id}">`), id);
});

/** A copy of the run to damage. */
async function copyOfRun(name: string): Promise<string> {
  await cp(run, join(folder, name), { recursive: true });
  return join(folder, name);
}

test('reports what there is if the data set has moved, and says which flag names it', async () => {
  const moved = join(folder, 'moved.tar');
  await rename(data, moved);
  try {
    const text = await reportOf();
    assert.match(text, /Not in this report.*pictures\.tar: no such file or folder.*--data DATA/s);
    assert.match(text, /<section id="training">.*<section id="kernels">.*<section id="settings">/s);
    assert.doesNotMatch(text, /<section id="(errors|classes|worst)">/);
    await assert.rejects(reportOf({ data }), /pictures\.tar: no such file or folder/);
    assert.match(await reportOf({ data: moved, crops: 1 }), /<section id="errors">/);
  } finally {
    await rename(moved, data);
  }
});

test('says of a split or a checkpoint that does not exist what is available instead', async () => {
  await assert.rejects(reportOf({ split: 'holdout' }), /no split "holdout"; there are: test, train, val/);
  const copy = await copyOfRun('without-best');
  await rm(join(copy, 'best'), { recursive: true });
  const text = await reportOf({ run: copy });
  assert.match(text, /no checkpoint best\/ yet; --checkpoint last takes last\//);
  assert.doesNotMatch(text, /<section id="(errors|kernels)">/);
  assert.match(await reportOf({ run: copy, checkpoint: 'last', crops: 1 }), /<section id="kernels">/);
});

test('reports a run that has only begun, and one that is imported', async () => {
  const begun = await copyOfRun('begun');
  for (const entry of ['best', 'last', 'metrics.jsonl']) await rm(join(begun, entry), { recursive: true });
  await writeFile(join(begun, 'lock'), JSON.stringify({ pid: process.ppid, host: hostname() }));
  const young = await reportOf({ run: begun });
  assert.match(young, /0 of 3 epochs, 0 steps recorded; training is in progress/);
  assert.match(young, /Curves: metrics\.jsonl has no line yet/);
  assert.match(young, /no checkpoint best\/ yet; training saves one/);
  assert.match(young, /<section id="run">.*<section id="settings">/s);

  const imported = await copyOfRun('imported');
  await rm(join(imported, 'metrics.jsonl'));
  const record = JSON.parse(await readFile(join(imported, 'config.json'), 'utf8')) as RunRecord;
  Object.assign(record, { pictures: {}, imported: { file: 'zoo<1>.onnx', sha256: 'abc' } });
  record.config.data = 'unknown';
  await writeFile(join(imported, 'config.json'), JSON.stringify(record));
  const foreign = await reportOf({ run: imported });
  assert.match(foreign, /<h1>cifar10-quick<\/h1>/);
  assert.match(foreign, /the weights were imported from zoo&lt;1&gt;\.onnx, which has none/);
  assert.match(foreign, /does not say what it was trained on; give --data DATA/);
  assert.match(foreign, /<section id="kernels">/);
});

test('leaves out a last line of metrics.jsonl that is being written, and names one that is broken', async () => {
  const copy = await copyOfRun('torn');
  const file = join(copy, 'metrics.jsonl');
  const whole = await readFile(file, 'utf8');
  await writeFile(file, `${whole}{"step":4`);
  assert.match(await reportOf({ run: copy, crops: 1 }), /3 of 3 epochs, 21 steps recorded/);
  await writeFile(file, `${whole}{"step":4\n`);
  await assert.rejects(reportOf({ run: copy }), /metrics\.jsonl: line 6 is damaged; remove that line/);
});

test('the command writes the page where it is told and prints one JSON object', async () => {
  const alexnet = (...words: string[]) => alexnetIn(folder, 'report', ...words);
  const { code, stdout, stderr } = await alexnet('run', '--out', 'page.html', '--json', '--backend', 'onnxruntime');
  assert.equal(code, 0, stderr);
  const text = await readFile(join(folder, 'page.html'), 'utf8');
  const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
  const { report, bytes, run: path, checkpoint, split, images, top1_error, missing } = result;
  assert.deepEqual(
    { report, bytes, path, checkpoint, split, images, missing },
    {
      report: 'page.html',
      bytes: Buffer.byteLength(text),
      path: 'run',
      checkpoint: 'best',
      split: 'val',
      images: 17,
      missing: [],
    },
  );
  const [[, centre], [, ten]] = tableOf(text, 'Errors by crops').slice(1);
  assert.ok(centre.startsWith(percent(top1_error)) && ten.startsWith(percent(result.ten_crop.top1_error)));
  assert.equal((await alexnet()).code, 2);
  assert.equal((await alexnet('nowhere')).code, 1);
});
