import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { tf } from '../../base/tfjs/core.js';
import '../../model/index.js'; // registers the layers that a checkpoint's topology names
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { saveCheckpoint } from '../../train/run/checkpoint.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { alexnet as alexnetInTurn } from '../real/shared-process.js';

const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
let folder: string;
let data: string;

/** Two classes of four images, red and blue, to train and to validate on. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-cli-'));
  data = join(folder, 'data');
  for (const split of ['train', 'val']) {
    for (const [name, background] of Object.entries({ cat: 'red', dog: 'blue' })) {
      await mkdir(join(data, split, name), { recursive: true });
      for (let i = 0; i < 4; i++) {
        const create = { width: 40 + i, height: 36, channels: 3, background } as const;
        await sharp({ create })
          .png()
          .toFile(join(data, split, name, `${i}.png`));
      }
    }
  }
});
after(() => rm(folder, { recursive: true }));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command to its end, in a process of its own where `options` are given; `onStderr` sees stderr as it grows. */
async function alexnet(
  words: string[],
  options?: { node?: string[]; onStderr?: (all: string, kill: (signal: NodeJS.Signals) => void) => void },
): Promise<Ended> {
  if (!options) return alexnetInTurn(...words);
  const child = spawn(process.execPath, [...(options.node ?? []), cli, ...words]);
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    ended.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ended.stderr += chunk;
    options.onStderr?.(ended.stderr, (signal) => child.kill(signal));
  });
  ended.code = await new Promise((resolve) => child.on('close', resolve));
  return ended;
}

const lastLine = (text: string) => JSON.parse(text.trim().split('\n').at(-1)!);
const trainWords = (run: string, ...more: string[]) => [
  'train',
  '--data',
  data,
  '--model',
  'cifar10-quick',
  '--batch',
  '4',
  '--backend',
  'onnxruntime',
  '--out',
  run,
  ...more,
];

for (const { words, says } of [
  {
    words: ['train', '--lerning-rate', '1'],
    says: /unknown option '--lerning-rate'\n\(Did you mean --learning-rate\?\)/,
  },
  { words: ['trian'], says: /unknown command 'trian'\n\(Did you mean train\?\)/ },
  { words: [], says: /Usage: alexnet/ },
  {
    words: ['train', '--out', 'x', '--batch', '0'],
    says: /'--batch <n>' argument '0' is invalid\. Expected a whole number of at least 1/,
  },
  {
    words: ['train', '--out', 'x', '--backend', 'gpu'],
    says: /Allowed choices are auto, tensorflow, onnxruntime, cpu/,
  },
  { words: ['train', '--out', 'x'], says: /alexnet train: a new run needs --data and --model/ },
  { words: ['train'], says: /alexnet train: a new run needs --data, --model and --out / },
  { words: ['serve', 'a.onnx'], says: /^error: serve takes the file as --model a\.onnx\n/ },
  { words: ['classify', 'a.onnx', 'b.jpg'], says: /^error: classify takes the file as --model a\.onnx\n/ },
  { words: ['occlude', 'b.jpg', 'a.onnx'], says: /^error: occlude takes the file as --model a\.onnx\n/ },
  { words: ['filters', 'a.onnx'], says: /^error: filters takes the file as --model a\.onnx\n/ },
  { words: ['train', 'photos'], says: /^error: train takes the data as --data photos\n/ },
  { words: ['summary', 'alexnet'], says: /^error: summary takes the network as --model alexnet\n/ },
  { words: ['evaluate', 'runs/x'], says: /^error: evaluate takes the run as --run runs\/x\n/ },
  { words: ['evaluate', 'a.onnx'], says: /^error: evaluate takes the file as --onnx a\.onnx\n/ },
  { words: ['export', 'runs/x'], says: /^error: export takes the run as --run runs\/x\n/ },
  { words: ['find-lr'], says: /alexnet find-lr: find-lr needs --data and --model/ },
  { words: ['train', '--dry-run'], says: /alexnet train: --dry-run needs --data and --model/ },
  { words: ['help', 'trian'], says: /unknown command 'trian'\n\(Did you mean train\?\)/ },
  { words: ['evaluate'], says: /alexnet evaluate: give either --run RUN or --onnx FILE/ },
]) {
  test(`exits with 2 on wrong usage: alexnet ${words.join(' ')}`, async () => {
    // one in a process of its own, whose code a shell sees
    const { code, stdout, stderr } = await alexnet(words, words.length === 0 ? {} : undefined);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
}

test('shows help and version with exit code 0 and without loading TensorFlow.js', async () => {
  const watch =
    "import m from 'node:module'; process.on('exit', () => console.error(Object.keys(m._cache).some((f) => /tfjs|onnxruntime/.test(f))));";
  const { code, stdout, stderr } = await alexnet(['--help'], { node: ['--import', `data:text/javascript,${watch}`] });
  assert.equal(code, 0);
  const commands = 'demo learn classify serve train evaluate report find-lr prepare summary reproduce export import';
  assert.deepEqual(
    stdout.match(/(?<=^ {2})[a-z-]+(?= )/gm)?.filter((name) => !name.startsWith('-')),
    [...commands.split(' '), 'inspect', 'page', 'filters', 'occlude', 'index', 'neighbours'],
  );
  assert.equal(stderr, 'false\n');
  const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
  assert.equal((await alexnet(['--version'])).stdout, `${version}\n`);
  if (process.platform === 'win32') return;
  const link = fileURLToPath(new URL('../../../node_modules/.bin/alexnet', import.meta.url));
  assert.equal((await promisify(execFile)(link, ['--version'])).stdout, `${version}\n`);
});

test('shows the help of a command after the word help', async () => {
  const { code, stdout } = await alexnet(['help', 'learn']);
  assert.equal(code, 0);
  assert.match(stdout, /^Usage: alexnet learn /);
  assert.equal((await alexnet(['help'])).stdout, (await alexnet(['--help'])).stdout);
});

test('exits with 1 and one line without a stack when the data set is not there', async () => {
  const words = ['train', '--data', join(folder, 'nowhere'), '--model', 'alexnet', '--out', join(folder, 'x')];
  const { code, stderr } = await alexnet(words, {});
  assert.equal(code, 1);
  assert.match(stderr, /alexnet train: .*nowhere: no such file or folder/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test('trains, evaluates, refuses to overwrite, and reports as JSON on stdout', async () => {
  const run = join(folder, 'run');
  const trained = await alexnet(trainWords(run, '--epochs', '2', '--json'), {});
  assert.equal(trained.code, 0, trained.stderr);
  const result = lastLine(trained.stdout);
  assert.deepEqual(Object.keys(result), [
    'run',
    'epochs',
    'steps',
    'images_per_second',
    'train_loss',
    'val',
    'backend',
    'delegated_kernels',
  ]);
  assert.deepEqual([result.run, result.epochs, result.steps, result.delegated_kernels], [run, 2, 4, 0]);

  const predictions = join(folder, 'predictions.jsonl');
  const evaluated = await alexnet(['evaluate', '--run', run, '--split', 'val', '--json', '--predictions', predictions]);
  assert.equal(evaluated.code, 0, evaluated.stderr);
  const { images, top1_error, top5_error } = lastLine(evaluated.stdout);
  assert.deepEqual({ images, top1_error, top5_error }, { images: 8, top1_error: result.val.top1_error, top5_error: 0 });
  const lines = (await readFile(predictions, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 8);
  const wrong = lines.filter(({ label, top5 }) => top5[0] !== label);
  const inWords = await alexnet(['evaluate', '--run', run, '--split', 'val']);
  const metrics = await readFile(join(run, 'metrics.jsonl'), 'utf8');
  assert.match(metrics, /val_top1_error/);
  assert.doesNotMatch(inWords.stdout + inWords.stderr + trained.stderr + metrics, /top-?5/); // of two classes
  const errorOf = (label: number) => wrong.filter((line) => line.label === label).length / 4;
  for (const [label, { top1_error: error }] of lastLine(evaluated.stdout).classes.entries()) {
    assert.equal(error, errorOf(label));
    assert.match(inWords.stdout, new RegExp(`^  \\S+ +${(100 * errorOf(label)).toFixed(1)} % of 4$`, 'm'));
  }
  const pair = lastLine(evaluated.stdout).most_confused;
  assert.equal(inWords.stdout.includes('most confused: '), wrong.length > 0);
  if (pair) assert.ok(inWords.stdout.includes(`${pair.label} taken for ${pair.predicted}, ${pair.images} of 4 images`));
  assert.equal(lines.filter(({ label, top5 }) => top5[0] !== label).length / 8, top1_error);

  // A clock on which a line is due now and then.
  const fast = 'data:text/javascript,let now = 0; Date.now = () => (now += 4000);';
  const piped = await alexnet(['evaluate', '--run', run, '--split', 'val', '--batch', '1'], {
    node: ['--import', fast],
  });
  const shown = piped.stderr.match(/^evaluating \d\/8$/gm) ?? [];
  assert.ok(shown.length < 8 && shown.at(-1) === 'evaluating 8/8', piped.stderr);

  const nowhere = await alexnet([
    'evaluate',
    '--run',
    run,
    '--split',
    'val',
    '--predictions',
    join(folder, 'no', 'p.jsonl'),
  ]);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /^alexnet evaluate: .*no\/p\.jsonl: cannot be written: ENOENT/m);

  const again = await alexnet(trainWords(run));
  assert.equal(again.code, 1);
  assert.match(again.stderr, /holds a run already; --resume continues it/);
  const finished = await alexnet(['train', '--out', run, '--resume', '--backend', 'onnxruntime']);
  assert.equal(finished.code, 0, finished.stderr);
  assert.match(finished.stderr, /run has finished its 2 epochs; train it further with --resume --epochs N\n/);
  assert.match(finished.stdout, /run: 2 epochs, 4 steps\n/);
  const other = await alexnet(['train', '--out', run, '--resume', '--lr', '3']);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /cannot resume with other settings: learningRate was 0.001, now 3/);
});

test('saves on SIGINT and exits with 130, resumes after SIGKILL, and ends with the weights of an uninterrupted run', async () => {
  const [whole, run] = [join(folder, 'whole'), join(folder, 'interrupted')];
  const epochs = ['--epochs', '16'];
  assert.equal((await alexnet(trainWords(whole, ...epochs))).code, 0);

  const stopAtEpoch = (epoch: number, signal: NodeJS.Signals) => {
    let sent = false;
    return (all: string, kill: (signal: NodeJS.Signals) => void) => {
      if (sent || !all.includes(`epoch ${String(epoch).padStart(2)}/16  loss`)) return;
      sent = true;
      kill(signal);
    };
  };
  const interrupted = await alexnet(trainWords(run, ...epochs), { onStderr: stopAtEpoch(2, 'SIGINT') });
  assert.equal(interrupted.code, 130, interrupted.stderr);
  assert.match(interrupted.stderr, new RegExp(`saved step \\d+; continue with: alexnet train --resume --out ${run}`));
  const killed = await alexnet(['train', '--resume', '--out', run, '--backend', 'onnxruntime'], {
    onStderr: stopAtEpoch(4, 'SIGKILL'),
  });
  assert.equal(killed.code, null);
  const resumed = await alexnet(['train', '--resume', '--out', run, '--backend', 'onnxruntime']);
  assert.equal(resumed.code, 0, resumed.stderr);

  const hashes = async (path: string) =>
    JSON.parse(await readFile(join(path, 'last', 'model.json'), 'utf8')).alexnet.files;
  assert.deepEqual(await hashes(run), await hashes(whole));
});

test('names a damaged checkpoint and continues once best/ is put in its place', async () => {
  const run = join(folder, 'damaged');
  await cp(join(folder, 'run'), run, { recursive: true });
  await cp(join(run, 'config.json'), join(run, 'last', 'model.json'));
  const words = ['train', '--resume', '--out', run, '--backend', 'onnxruntime'];
  const refused = await alexnet(words);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /alexnet train: .*model.json: a tfjs model without the state of a run/);
  await rm(join(run, 'last'), { recursive: true });
  await cp(join(run, 'best'), join(run, 'last'), { recursive: true });
  assert.equal((await alexnet(words)).code, 0);
});

test('never takes an epoch whose validation loss is not finite for the best, nor saves it', async () => {
  const run = join(folder, 'diverged');
  // One step an epoch: its own loss is from before the update, so validation is the first to see weights that are too
  // large.
  const words = [...trainWords(run), '--batch', '8', '--epochs', '3'];
  const { code, stderr } = await alexnet([...words, '--lr', '1e20', '--schedule', 'constant']);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /training diverged at step 1, learning rate 1\.00e\+20: the validation loss is not finite; no /);
  assert.doesNotMatch(stderr, / best$/m);
  assert.deepEqual(
    (await readdir(run)).filter((name) => ['best', 'last'].includes(name)),
    [],
  );
  assert.equal((await readFile(join(run, 'metrics.csv'), 'utf8')).trim().split('\n').length, 1);
  const good = await alexnet([...trainWords(run), '--force', '--batch', '8', '--epochs', '1']);
  assert.equal(good.code, 0, good.stderr);
  const resumed = await alexnet(['train', '--resume', '--force', '--out', run, '--epochs', '3', '--lr', '1e20']);
  assert.equal(resumed.code, 1, resumed.stderr);
  assert.match(resumed.stderr, new RegExp(`the last good checkpoint is ${join(run, 'last')}`));
  const { state } = JSON.parse(await readFile(join(run, 'last', 'model.json'), 'utf8')).alexnet;
  assert.deepEqual([state.step, state.bestValidation.epoch], [1, 1]);
});

test('says that a network computes NaN instead of giving errors, a report, a rate or a file', async () => {
  const run = join(folder, 'huge');
  await cp(join(folder, 'run'), run, { recursive: true });
  await selectBackend('cpu');
  const { model, state } = await loadCheckpoint(join(run, 'best'));
  for (const weight of model.weights) weight.write(tf.fill(weight.shape as number[], 1e30));
  await saveCheckpoint(join(run, 'best'), model, [], state);
  const evaluated = await alexnet(['evaluate', '--run', run, '--split', 'val', '--json']);
  assert.deepEqual([evaluated.code, evaluated.stdout], [1, '']);
  assert.match(
    evaluated.stderr,
    /alexnet evaluate: .*huge, best\/: its probabilities of some images are NaN or infinite/,
  );
  const reported = await alexnet(['report', run, '--json']);
  assert.equal(reported.code, 0, reported.stderr);
  assert.match(lastLine(reported.stdout).missing.join(), /^Errors and images: .*NaN or infinite/);
  const searched = await alexnet(['find-lr', '--from', run, '--data', data, '--batch', '4']);
  assert.equal(searched.code, 1);
  assert.match(searched.stderr, /alexnet find-lr: .*huge: the loss is NaN before any update/);
  const exported = await alexnet(['export', '--run', run, '--out', join(folder, 'huge.onnx')]);
  assert.equal(exported.code, 1);
  assert.match(exported.stderr, /alexnet export: .* the weights hold NaN or are too large/);
});

test('says before a large network starts on few images what works instead', async () => {
  const words = trainWords(join(folder, 'few')).with(4, 'alexnet');
  for (const ways of [words, [...words, '--dry-run'], ['find-lr', '--data', data, '--model', 'alexnet']]) {
    const { stderr } = await alexnet(ways, { onStderr: (all, kill) => all.includes('warning:') && kill('SIGKILL') });
    assert.match(
      stderr,
      /warning: 8 training images are too few for the 57 million weights of alexnet.*--from RUN.*--model /,
    );
    assert.doesNotMatch(stderr, /epoch +1\/\d+ /);
  }
  const small = await alexnet(trainWords(join(folder, 'few small'), '--epochs', '1'));
  assert.doesNotMatch(small.stderr, /too few/);
});
