/** `alexnet` in a project where tfjs-node-gpu is installed next to it: a stand-in, see test/fixtures/tfjs-node-gpu. */
import assert from 'node:assert/strict';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import { silentProgress } from '../../base/progress.js';
import { missingCudaLibraries } from '../../onnx/backend/cuda-libraries.js';
import { openDataset } from '../../train/data/open-dataset.js';
import { train } from '../../train/loop.js';
import { alexnetOf, installTensorflow, temporaryProject } from './temporary-project.js';
import { IMAGE_PX, tinyModel, tinyRun, tinySplit } from './tiny.js';

const PACKAGE = '@tensorflow/tfjs-node-gpu';

let project: string;
const at = (...names: string[]) => join(project, ...names);
before(async () => {
  project = await temporaryProject();
});
after(() => rm(project, { recursive: true }));

/** What a training says of its backend before it finds that there is no data set. */
async function backendLine(backend: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const words = ['--data', at('nowhere'), '--model', 'alexnet', '--out', at('none'), '--backend', backend];
  const { code, stderr } = await alexnetOf(project, ['train', ...words], env);
  assert.equal(code, 1, stderr);
  assert.doesNotMatch(stderr, /\n\s+at /);
  return stderr.split('\n').find((line) => /^(alexnet train: )?backend/.test(line)) ?? stderr;
}

describe('a package of TensorFlow that cannot be used', () => {
  it('is missed by name, and passed over by auto without a word if it is not installed', async () => {
    const refusal = `backend tensorflow: not installed (npm install --save-prod ${PACKAGE}@4.22.0)`;
    assert.equal(await backendLine('tensorflow'), `alexnet train: ${refusal}`);
    assert.equal(await backendLine('auto'), 'backend onnxruntime: onnxruntime-node on cpu');
  });

  it('is named with the command that brings its native part', async () => {
    // The package's own words.
    const message = 'The Node.js native addon module (tfjs_binding.node) can not be found at path: /lib. \\nPlease run';
    await installTensorflow(project, { 'index.js': `throw new Error("${message}");` });
    const reason = 'The Node.js native addon module (tfjs_binding.node) can not be found at path: /lib.';
    assert.equal(
      await backendLine('tensorflow'),
      `alexnet train: backend tensorflow: ${PACKAGE} lacks its native part (${reason}); run its install script: ` +
        `npm rebuild ${PACKAGE} (npm 12 wants "npm install-scripts approve ${PACKAGE}" before)`,
    );
  });

  it('is given with its reason if it does not load', async () => {
    await installTensorflow(project, { 'index.js': "throw new Error('GLIBC_2.99 not found');" });
    const refusal = 'backend tensorflow: cannot be loaded: GLIBC_2.99 not found';
    assert.equal(await backendLine('tensorflow'), `alexnet train: ${refusal}`);
  });

  it('is not loaded if it has a tfjs-core of its own; both are named', async () => {
    const own = 'node_modules/@tensorflow';
    await installTensorflow(project, {
      [`${own}/tfjs/package.json`]: '{}',
      [`${own}/tfjs-core/package.json`]: '{ "version": "4.20.0" }',
      'index.js': "throw new Error('loaded all the same');",
    });
    const line = await backendLine('tensorflow');
    const theirs = at('node_modules', PACKAGE, own, 'tfjs-core');
    assert.ok(line.includes(`${PACKAGE} uses another tfjs-core, 4.20.0 in ${theirs}; expected ours, 4.22.0 in `), line);
    assert.ok(line.endsWith(`install both in one project, npm install alexnet ${PACKAGE}@4.22.0`), line);
  });
});

/** What TensorFlow opens before it takes a GPU. */
const LIBRARIES = [
  'libcuda.so.1',
  'libcudart.so.11.0',
  'libcublas.so.11',
  'libcublasLt.so.11',
  'libcufft.so.10',
  'libcurand.so.10',
  'libcusolver.so.11',
  'libcusparse.so.11',
  'libcudnn.so.8',
];
const [CUFFT, CUDNN] = ['libcufft.so.10', 'libcudnn.so.8'];
const isLinux = process.platform === 'linux' && process.arch === 'x64';
const lacksBoth = [CUFFT, CUDNN].every((soname) => missingCudaLibraries()?.includes(soname));

/**
 * Libraries of these names in a folder that the dynamic loader is told to search; any will do, for the stand-in calls
 * none.
 */
async function libraries(name: string, sonames: string[]): Promise<NodeJS.ProcessEnv> {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const any = sharedObjects.find((file) => basename(file).startsWith('libdl.so'))!;
  await mkdir(at(name));
  for (const soname of sonames) await cp(any, at(name, soname), { dereference: true });
  return { LD_LIBRARY_PATH: at(name) };
}

describe('tfjs-node-gpu and the CUDA libraries', { skip: isLinux ? false : 'Linux x64 only' }, () => {
  before(() => installTensorflow(project));

  const skip = lacksBoth ? false : 'CUDA 11 is installed here';
  it('computes on the CPU by name if libraries are missing, and says which; auto takes onnxruntime', {
    skip,
  }, async () => {
    const env = await libraries(
      'some',
      LIBRARIES.filter((soname) => soname !== CUFFT),
    );
    await writeFile(at('some', CUDNN), '');
    const cufft = `${CUFFT} (CUDA 11: apt-get install cuda-libraries-11-8)`;
    const cudnn = `${CUDNN} (${at('some', CUDNN)}: file too short) (cuDNN 8: apt-get install libcudnn8=8.9.7.29-1+cuda11.8)`;
    const missing = `missing ${cufft}; ${cudnn}`;
    assert.equal(
      await backendLine('tensorflow', env),
      `backend tensorflow: as asked: ${PACKAGE} on the CPU, not on a GPU (${missing})`,
    );
    const line = await backendLine('auto', env);
    const refusal = `backend tensorflow: ${PACKAGE} would compute on the CPU: ${missing}`;
    assert.equal(line, `backend onnxruntime: onnxruntime-node on cpu; ${refusal}`);
  });

  it('computes on a GPU if all are found and there is one', async () => {
    const env = await libraries('all', LIBRARIES);
    assert.equal(await backendLine('auto', { ...env, FAKE_GPU: '1' }), `backend tensorflow: ${PACKAGE} on a GPU`);
    const none = 'TensorFlow found no GPU that it can use';
    const line = await backendLine('auto', env);
    assert.match(line, /^backend onnxruntime: /);
    assert.ok(line.endsWith(`backend tensorflow: ${PACKAGE} would compute on the CPU: ${none}`), line);
    assert.match(
      await backendLine('auto', { ...env, ALEXNET_PROVIDER: 'cpu', FAKE_GPU: '1' }),
      /^backend onnxruntime: /,
    );
  });
});

/** The tiny network after an epoch on images in a folder, ready to be trained on by the command. */
async function startedRun(): Promise<string> {
  const labels = ['ant', 'bee', 'cat', 'dog'];
  for (const split of ['train', 'val']) {
    const { length, labels: classes, pixels } = tinySplit(split === 'train' ? 14 : 9, split);
    for (let i = 0; i < length; i++) {
      const folder = at('pictures', split, labels[classes[i]]);
      await mkdir(folder, { recursive: true });
      const raw = { width: IMAGE_PX, height: IMAGE_PX, channels: 3 } as const;
      await sharp(pixels(i, undefined as never), { raw }).toFile(join(folder, `${i}.png`));
    }
  }
  const dataset = await openDataset(at('pictures'), { imagePx: IMAGE_PX });
  const run = await tinyRun(at('run'), dataset, {
    epochs: 1,
    batch: 5,
    microBatch: 3,
    clipNorm: 1,
    learningRate: 0.002,
  });
  const model = tinyModel();
  await train({ run, dataset, model, progress: silentProgress, interrupt: {}, checkpointMinutes: 5 });
  return run.path;
}

/** Trains a copy of the run by command, evaluates and exports it. */
async function trainOn(backend: string, run: string) {
  // As Node 23 and later.
  const flags = [
    '--import',
    "data:text/javascript,import u from 'node:util'; delete u.isArray; delete u.isNullOrUndefined;",
  ];
  const copy = at(backend);
  await cp(run, copy, { recursive: true });
  const json = async (...words: string[]) => {
    const { code, stdout, stderr } = await alexnetOf(project, [...words, '--json'], {}, flags);
    assert.equal(code, 0, stderr);
    return { stderr, ...JSON.parse(stdout) };
  };
  const { stderr, ...trained } = await json('train', '--resume', '--epochs', '4', '--out', copy, '--backend', backend);
  const evaluated = await json('evaluate', '--run', copy, '--split', 'val', '--crops', '10', '--backend', backend);
  const exported = await json(
    ...['export', '--run', copy, '--checkpoint', 'last', '--name', 'same', '--out', at(`${backend}.onnx`)],
  );
  return { stderr, trained, evaluated, exported };
}

it('trains, evaluates and exports on tfjs-node-gpu to the bits of the cpu backend', async () => {
  await installTensorflow(project);
  const run = await startedRun();
  const [actual, expected] = await Promise.all(['tensorflow', 'cpu'].map((backend) => trainOn(backend, run)));
  assert.match(
    actual.stderr,
    /\nbackend tensorflow: as asked: @tensorflow\/tfjs-node-gpu on the CPU, not on a GPU \(.+\)\n/,
  );
  assert.match(actual.stderr, /fake TensorFlow: TF_FORCE_GPU_ALLOW_GROWTH=true/);
  assert.deepEqual([actual.trained.backend, actual.evaluated.backend], ['tensorflow', 'tensorflow']);
  assert.deepEqual([expected.trained.backend, expected.trained.steps], ['cpu', 12]);
  for (const key of ['epochs', 'steps', 'train_loss', 'val'])
    assert.deepEqual(actual.trained[key], expected.trained[key]);
  for (const key of ['images', 'top1_error', 'top5_error'])
    assert.equal(actual.evaluated[key], expected.evaluated[key]);
  assert.equal(actual.exported.sha256, expected.exported.sha256); // the weights and their hash are in the file
});
