import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../base/errors.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { saveCheckpoint, startState } from '../../train/run/checkpoint.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { modelWeights } from '../../train/run/weights.js';
import { flatWeights, INPUT_PX, tinyModel } from './tiny.js';

let run: string;
before(async () => {
  run = await mkdtemp(join(tmpdir(), 'alexnet-checkpoint-'));
});
after(() => rm(run, { recursive: true }));

function velocitiesOf(model: tfl.LayersModel) {
  return modelWeights(model, 'trainable').map(({ name, variable }, i) => ({
    name,
    variable: tf.variable(tf.add(variable, i + 0.5)),
  }));
}

async function save(name: string, step = 12) {
  const folder = join(run, name);
  const model = tinyModel(step);
  const velocities = velocitiesOf(model);
  const state = { ...startState(), step, epoch: 2, position: 4, lossSum: 0.1 + 0.2 };
  await saveCheckpoint(folder, model, velocities, state);
  return { folder, model, velocities, state };
}

const dataFile = async (folder: string, kind: string) =>
  join(folder, (await readdir(folder)).find((name) => name.startsWith(kind))!);

test('gives back weights, velocities and state bit for bit', async () => {
  const { folder, model, velocities, state } = await save('round-trip');
  const loaded = await loadCheckpoint(folder);
  assert.deepEqual(flatWeights(loaded.model), flatWeights(model));
  assert.deepEqual(loaded.state, state);
  const read = await loaded.readVelocities();
  for (const { name, variable } of velocities) assert.deepEqual(read.get(name), variable.dataSync());
  assert.match(loaded.weightsSha256, /^[0-9a-f]{64}$/);
});

test('is whole if old data cannot be removed', async () => {
  const { folder } = await save('stuck', 11);
  await mkdir(join(folder, 'weights-7-stuck.bin', 'open'), { recursive: true });
  const { model } = await save('stuck', 12);
  assert.deepEqual(flatWeights((await loadCheckpoint(folder)).model), flatWeights(model));
  assert.equal((await readdir(folder)).filter((name) => name.startsWith('weights-')).length, 2);
});

test('is read by tf.loadLayersModel as it lies on disk', async () => {
  const { folder, model } = await save('layers-model');
  const loaded = await tfl.loadLayersModel({
    load: async () => {
      const { modelTopology, weightsManifest } = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'));
      const bytes = await readFile(join(folder, weightsManifest[0].paths[0]));
      return { modelTopology, weightSpecs: weightsManifest[0].weights, weightData: Uint8Array.from(bytes).buffer };
    },
  });
  const images = tf.randomNormal([3, INPUT_PX, INPUT_PX, 3]);
  assert.deepEqual((loaded.predict(images) as tf.Tensor).dataSync(), (model.predict(images) as tf.Tensor).dataSync());
});

test('keeps the names of weights in a process that holds the model twice', async () => {
  tinyModel();
  const { folder } = await save('names');
  const { weightsManifest } = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'));
  const names = weightsManifest[0].weights.map((spec: { name: string }) => spec.name);
  assert.deepEqual(names, ['conv1/kernel', 'conv1/bias', 'fc2/kernel', 'fc2/bias']);
});

test('leaves only the files of the newest checkpoint', async () => {
  await save('replaced', 1);
  const { folder } = await save('replaced', 2);
  const names = (await readdir(folder)).map((name) => name.replace(/-[0-9a-f]{8}\./, '.')).sort();
  assert.deepEqual(names, ['model.json', 'velocity-2.bin', 'weights-2.bin']);
});

test('names a file that is cut short and the checkpoint that could take its place', async () => {
  const { folder } = await save('last');
  await save('best');
  const file = await dataFile(folder, 'weights');
  await truncate(file, 1000);
  await assert.rejects(loadCheckpoint(folder), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.ok(error.message.startsWith(`${file}: cut short: expected `));
    assert.match(error.message, /bytes, got 1000\./);
    assert.ok(error.message.includes(`copy ${join(run, 'best')} to ${folder}`));
    return true;
  });
});

test('finds a single flipped bit in weights and in velocities', async () => {
  for (const kind of ['weights', 'velocity']) {
    const { folder } = await save(`flipped-${kind}`);
    const file = await dataFile(folder, kind);
    const bytes = await readFile(file);
    bytes[random('bit', kind).integer(bytes.length)] ^= 1;
    await writeFile(file, bytes);
    const load = async () => (await loadCheckpoint(folder)).readVelocities();
    await assert.rejects(load, {
      name: 'UserError',
      message: new RegExp(`${kind}-12.*: contents altered: SHA-256 is not`),
    });
  }
});

test('says what is wrong with a missing file, a cut model.json and an empty folder', async () => {
  const { folder } = await save('missing');
  await rm(await dataFile(folder, 'weights'));
  await assert.rejects(loadCheckpoint(folder), {
    name: 'UserError',
    message: /weights-12.*missing, though model.json names it/,
  });
  await truncate(join(folder, 'model.json'), 200);
  await assert.rejects(loadCheckpoint(folder), {
    name: 'UserError',
    message: /model.json: not JSON, so cut short or altered/,
  });
  await rm(join(folder, 'model.json'));
  await assert.rejects(loadCheckpoint(folder), {
    name: 'UserError',
    message: /missing: no checkpoint here \(no model.json\)/,
  });
});

test('refuses weights that are not finite and keeps the checkpoint there was', async () => {
  const { folder, model, velocities, state } = await save('nan');
  const good = flatWeights(model);
  const bias = model.getLayer('fc2').weights[1];
  bias.write(tf.tensor1d([0, Number.NaN, 0, 0]));
  const saving = saveCheckpoint(folder, model, velocities, { ...state, step: 13 });
  await assert.rejects(saving, { name: 'NotFiniteError', message: 'weight fc2/bias holds NaN or infinity; not saved' });
  assert.deepEqual(flatWeights((await loadCheckpoint(folder)).model), good);
});

test('leaves a whole checkpoint when killed at any moment', async () => {
  const folder = join(run, 'killed');
  const script = fileURLToPath(new URL('save-forever.js', import.meta.url));
  let step = 1;
  for (let kill = 0; kill < 5; kill++) {
    const child = spawn(process.execPath, [script, folder, String(step)], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data'); // the first is saved
    await setTimeout(20 * random('kill', kill, process.pid).uniform());
    child.kill('SIGKILL');
    await once(child, 'close');
    const loaded = await loadCheckpoint(folder);
    assert.ok(loaded.state.step >= step);
    step = loaded.state.step;
    assert.ok(flatWeights(loaded.model).every((value) => value === step));
    for (const values of (await loaded.readVelocities()).values()) assert.ok(values.every((value) => value === -step));
    loaded.model.dispose();
    step += 1;
  }
});
