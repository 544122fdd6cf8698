/**
 * A full disk at every place that training writes to. /dev/full, to which a file about to be written is linked, answers
 * each write with ENOSPC for every user; the last test fills a real, small file system.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { append, writeFileAtomically } from '../../base/atomic-file.js';
import { DiskFullError } from '../../base/disk-full.js';
import { type Progress, silentProgress } from '../../base/progress.js';
import { tf } from '../../base/tfjs/core.js';
import { ALEXNET } from '../../model/alexnet.js';
import { meanImage } from '../../train/data/batches/mean.js';
import { train } from '../../train/loop.js';
import { saveCheckpoint, startState } from '../../train/run/checkpoint.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { createRun, openRun, type Run } from '../../train/run/run-folder.js';
import { modelWeights } from '../../train/run/weights.js';
import { resolveSettings } from '../../train/settings/config.js';
import { flatWeights, IMAGE_PX, INPUT_PX, tinyDataset, tinyModel } from '../train/tiny.js';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const FULL = '/dev/full';
const onFullDevice = { skip: existsSync(FULL) ? false : `needs ${FULL}` };
const onSmallDisk = {
  skip: canMount() ? false : 'needs to mount a tmpfs in a namespace of its own (unshare --map-root-user --mount)',
};

function inNamespace(script: string) {
  return spawnSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', script], { encoding: 'utf8' });
}

function canMount(): boolean {
  return inNamespace(`mount -t tmpfs -o size=1m tmpfs ${tmpdir()}`).status === 0;
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-disk-full-'));
});
after(() => rm(folder, { recursive: true }));

test('leaves the file that was to be replaced and no other when there is no room', onFullDevice, async () => {
  const file = join(folder, 'settings.json');
  await writeFile(file, 'old');
  await symlink(FULL, `${file}.alexnet-tmp`);
  await assert.rejects(writeFileAtomically(file, 'new'), (error: Error) => {
    assert.ok(error instanceof DiskFullError);
    assert.equal(
      error.message,
      `${file}.alexnet-tmp: cannot be written: the disk is full; make room and repeat the command`,
    );
    return true;
  });
  assert.deepEqual(await readdir(folder), ['settings.json']);
  await writeFileAtomically(file, 'new');
  await assert.rejects(append(FULL, 'line'), { name: 'DiskFullError', path: FULL });
});

for (const victim of ['weights-13-.bin', 'velocity-13-.bin', 'model.json']) {
  test(
    `keeps the checkpoint there was, and nothing of the new one, when ${victim} finds no room`,
    onFullDevice,
    async () => {
      const last = join(folder, victim, 'last');
      const model = tinyModel(4);
      const velocities = modelWeights(model, 'trainable').map(({ name, variable }) => ({
        name,
        variable: tf.variable(tf.mul(variable, 2)),
      }));
      await saveCheckpoint(last, model, velocities, { ...startState(), step: 12 });
      const files = (await readdir(last)).sort();
      const weights = flatWeights(model);

      await symlink(FULL, join(last, `${victim}.alexnet-tmp`));
      model.getLayer('fc2').weights[1].write(tf.tensor1d([1, 2, 3, 4]));
      const saving = saveCheckpoint(last, model, velocities, { ...startState(), step: 13 });
      await assert.rejects(saving, { name: 'DiskFullError', path: join(last, `${victim}.alexnet-tmp`) });
      assert.deepEqual((await readdir(last)).sort(), files);
      const loaded = await loadCheckpoint(last);
      assert.equal(loaded.state.step, 12);
      assert.deepEqual(flatWeights(loaded.model), weights);
      await loaded.readVelocities();
    },
  );
}

const dataset = tinyDataset();

async function newRun(name: string): Promise<Run> {
  const settings = resolveSettings(ALEXNET.recipe, {
    epochs: 4,
    batch: 8,
    learningRate: 0.002,
    schedule: 'constant',
  });
  const record = { imagePx: IMAGE_PX, inputPx: INPUT_PX, pictures: { train: 26, val: 11 }, versions: {} };
  const config = { data: 'tiny', model: 'tiny', ...settings };
  const images = { mean: meanImage(dataset.splits.train, 0), samples: new Uint8Array(0) };
  return createRun(join(folder, name), { ...record, ...images, config, labels: dataset.labels });
}

/** Trains from where the run is; `beforeStep` is called with the number of steps made. */
async function go(run: Run, beforeStep: (step: number) => void = () => {}) {
  const from = existsSync(join(run.last, 'model.json')) ? await loadCheckpoint(run.last) : undefined;
  const model = from?.model ?? tinyModel();
  const progress: Progress = { ...silentProgress, step: ({ step }) => beforeStep(step) };
  return { model, ...(await train({ run, dataset, model, from, progress, interrupt: {}, checkpointMinutes: 5 })) };
}

/** The one event file of a run. */
const eventFile = (run: Run) => join('events', readdirSync(join(run.path, 'events'))[0]);

test(
  'stops where no checkpoint or figure can be written, says how to continue, and continues to the same weights',
  onFullDevice,
  async () => {
    const straight = await go(await newRun('straight'));
    const places: [string, (run: Run) => string][] = [
      ['last', () => join('last', 'weights-8-.bin.alexnet-tmp')],
      ['best', () => join('best', 'velocity-8-.bin.alexnet-tmp')],
      ['metrics', () => 'metrics.jsonl'],
      ['csv', () => 'metrics.csv.alexnet-tmp'],
      ['events', eventFile],
    ];
    for (const [name, place] of places) {
      const run = await newRun(name);
      let file = '';
      const stopping = go(run, (step) => {
        if (step !== 6) return; // in the second epoch, of 4 steps; its end has figures and a checkpoint
        file = join(run.path, place(run));
        rmSync(file, { force: true });
        symlinkSync(FULL, file);
      });
      await assert.rejects(stopping, (error: Error) => {
        const stopped =
          /^training stops after step (8|10): (.*) cannot be written: the disk is full; (.*)\. Make room, then continue with: (.*)$/;
        const [, , path, checkpoint, command] = stopped.exec(error.message) ?? assert.fail(error.message);
        assert.deepEqual(
          [path, checkpoint, command],
          [file, `the last good checkpoint is ${run.last}`, `alexnet train --resume --out ${run.path}`],
        );
        return true;
      });
      assert.ok((await loadCheckpoint(run.last)).state.step >= 4);
      rmSync(file, { force: true });
      const resumed = await go(await openRun(run.path));
      assert.deepEqual(flatWeights(resumed.model), flatWeights(straight.model));
      const left = readdirSync(run.path, { recursive: true, encoding: 'utf8' }).filter((path) =>
        path.endsWith('.alexnet-tmp'),
      );
      assert.deepEqual(left, []);
    }
  },
);

test('survives a real disk that fills up while it trains, as the command is used', onSmallDisk, async () => {
  const data = join(folder, 'data');
  for (const path of ['train/red', 'train/blue', 'val/red', 'val/blue']) {
    await mkdir(join(data, path), { recursive: true });
    const create = { width: 40, height: 36, channels: 3, background: path.split('/')[1] } as const;
    for (const name of ['1.png', '2.png']) await sharp({ create }).toFile(join(data, path, name));
  }
  const disk = join(folder, 'disk');
  await mkdir(disk);
  // A checkpoint of cifar10-quick has 1.2 MB: two fit, a third does not.
  const command = `${process.execPath} ${CLI} train --out ${disk}/run --backend onnxruntime`;
  const steps = [
    `${command} --data ${data} --model cifar10-quick --batch 4 --epochs 3`,
    `find ${disk}/run -name '*.alexnet-tmp'; ls ${disk}/run/last`,
    `cat /dev/zero > ${disk}/zeros; ${command} --resume`,
    `rm ${disk}/zeros; mount -o remount,size=30m ${disk}; ${command} --resume --json`,
  ];
  const script = steps.map((step) => `(${step}) 2>&1; echo "= $?"`);
  const { stdout } = inNamespace([`mount -t tmpfs -o size=3m tmpfs ${disk}`, ...script].join('\n'));
  const [full, files, locked, resumed] = stdout.split(/^= /m).map((text) => text.replace(/^\d+\n/, ''));
  assert.deepEqual(stdout.match(/(?<=^= )\d+/gm), ['1', '0', '1', '0'], stdout);
  assert.match(
    full,
    /\nalexnet train: training stops after step 2: .*\.alexnet-tmp cannot be written: the disk is full; the last good/,
  );
  assert.match(full, /Make room, then continue with: alexnet train --resume --out .*run\n$/);
  assert.match(files, /^model\.json\nvelocity-1-[0-9a-f]{8}\.bin\nweights-1-[0-9a-f]{8}\.bin\n$/);
  assert.match(
    locked,
    /\nalexnet train: .*lock: cannot be written: the disk is full; make room and repeat the command\n$/,
  );
  assert.match(resumed, /\ncontinuing after step 1\n.*"epochs":3,"steps":3,/s);
});
