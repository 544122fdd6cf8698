import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fileStart } from '../../train/metrics/event-file.js';
import { MetricsLog } from '../../train/metrics/metrics-log.js';
import { startState } from '../../train/run/checkpoint.js';
import { temporaryFolder } from './data/tiny-images.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const READER = fileURLToPath(new URL('../../../test/train/read_events.py', import.meta.url));

/** [step, seconds since 1970, file version, status of the session, values by tag] */
type Event = [number, number, string, number | null, Record<string, number>];

function hasProtobuf(): boolean {
  return spawnSync(PYTHON, ['-c', 'import google.protobuf']).status === 0;
}

/** What a reader that shares no code with the writer finds. */
function readEvents(run: string): Event[] {
  const { status, stdout, stderr } = spawnSync(PYTHON, [READER, join(run, 'events')], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function readLines(run: string): Promise<Record<string, number>[]> {
  const text = await readFile(join(run, 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const stepLine = (step: number, epoch: number) => ({ step, epoch, loss: 8 / step, lr: 0.5, images_per_second: 64 });
const epochLine = (step: number, epoch: number) => ({
  step,
  epoch,
  loss: 6 / epoch,
  train_top1_error: 0.75,
  val_loss: 5 / epoch,
  val_top1_error: 1 / 2 ** epoch,
  val_top5_error: 0.125,
  lr: 0.25,
  images_per_second: 32,
});

/** A run of 15 steps an epoch, killed in its third epoch and resumed from the checkpoint of step 15. */
async function resumedRun(context: TestContext): Promise<string> {
  const run = await temporaryFolder(context);
  const killed = await MetricsLog.open(run, startState());
  for (const line of [stepLine(10, 1), epochLine(15, 1), stepLine(20, 2), stepLine(30, 2), epochLine(30, 2)])
    await killed.append(line);
  await appendFile(join(run, 'metrics.jsonl'), '{"step":40,"ep');
  const [file] = await readdir(join(run, 'events'));
  await appendFile(join(run, 'events', file), Buffer.from([24, 0, 0, 0, 0]));

  const resumed = await MetricsLog.open(run, { ...startState(), step: 15, epoch: 1 });
  for (const line of [stepLine(20, 2), stepLine(30, 2), epochLine(30, 2)]) await resumed.append(line);
  return run;
}

test('tells every step once after a kill and a resume, metrics.csv what metrics.jsonl tells of epochs', async (t) => {
  const run = await resumedRun(t);
  const lines = await readLines(run);
  assert.deepEqual(
    lines.map(({ step, epoch }) => [step, epoch]),
    [
      [10, 1],
      [15, 1],
      [20, 2],
      [30, 2],
      [30, 2],
    ],
  );

  const [header, ...rows] = (await readFile(join(run, 'metrics.csv'), 'utf8')).trim().split('\n');
  const columns = header.split(',');
  const epochs = lines.filter((line) => line.val_loss !== undefined);
  assert.equal(rows.length, 2);
  rows.forEach((row, i) => {
    const cells = row.split(',').map((cell, column) => [columns[column], Number(cell)]);
    assert.deepEqual(Object.fromEntries(cells), epochs[i]);
  });
});

test('writes what TensorFlow’s definitions of events read back, each step once after a kill and a resume', {
  skip: hasProtobuf() ? false : `needs Python with protobuf (${PYTHON}, or the one ALEXNET_PYTHON names)`,
}, async (t) => {
  const run = await resumedRun(t);
  const lines = await readLines(run);
  const events = readEvents(run);
  const [version, start, ...scalars] = events;
  assert.deepEqual([version[2], version[3], start[2], start[3]], ['brain.Event:2', null, '', 1]);
  assert.deepEqual(
    scalars.map(([step, seconds]) => [step, seconds]),
    lines.map(({ step, wall_time }) => [step, wall_time]),
  );
  assert.deepEqual(scalars[2][4], {
    'loss/step': Math.fround(8 / 20),
    'learning_rate/step': 0.5,
    'images_per_second/step': 64,
  });
  assert.deepEqual(scalars[4][4], {
    'loss/train': 3,
    'loss/val': 2.5,
    'top1_error/train': 0.75,
    'top1_error/val': 0.25,
    'top5_error/val': 0.125,
    'learning_rate/epoch': 0.25,
    'images_per_second/epoch': 32,
  });
});

test('begins an event file with the bytes that TensorFlow begins one with', async (t) => {
  const run = await temporaryFolder(t);
  await MetricsLog.open(run, startState());
  const [file, ...others] = await readdir(join(run, 'events'));
  assert.deepEqual(others, []);
  assert.match(file, /^events\.out\.tfevents\.\d{10}\./);
  const bytes = await readFile(join(run, 'events', file));
  // Length 24 and its checksum: the head of every event file, e.g. those in tensorboard's own test data.
  assert.equal(bytes.subarray(0, 12).toString('hex'), '1800000000000000a37f4b22');
  assert.equal(bytes.subarray(21, 36).toString('latin1'), '\x1a\x0dbrain.Event:2');
});

test('takes the place of the files of an earlier run, and makes those that an earlier version had not', async (t) => {
  const run = await temporaryFolder(t);
  const [old, foreign] = ['events.out.tfevents.0000000001.old.1', 'events.out.tfevents.0000000001.host.1.0'];
  await mkdir(join(run, 'events'));
  await writeFile(join(run, 'events', old), fileStart(1));
  await writeFile(join(run, 'events', foreign), fileStart(1).subarray(0, 40)); // another program's: no session's start
  await writeFile(join(run, 'metrics.jsonl'), `${JSON.stringify(epochLine(15, 1))}\n`);
  await MetricsLog.open(run, { ...startState(), step: 15, epoch: 1 });
  const events = await readdir(join(run, 'events'));
  assert.deepEqual([events.length, events.includes(foreign)], [2, true]);
  assert.match(await readFile(join(run, 'metrics.csv'), 'utf8'), /^epoch,step,wall_time,loss,.*\n1,15,,6,5,0\.75,/);
  await rm(join(run, 'metrics.csv'));
  await MetricsLog.open(run, startState());
  assert.match(await readFile(join(run, 'metrics.csv'), 'utf8'), /^epoch,step,.*\n$/);
});

test('names a damaged line', async (t) => {
  const run = await temporaryFolder(t);
  await writeFile(join(run, 'metrics.jsonl'), `${JSON.stringify(stepLine(10, 1))}\n{"step":\n`);
  await assert.rejects(MetricsLog.open(run, startState()), {
    name: 'UserError',
    message: `${join(run, 'metrics.jsonl')}: line 2 is damaged; remove that line`,
  });
});

test('a run continues although the system does not let go of an earlier event file', async (context) => {
  const run = await temporaryFolder(context);
  const held = join(run, 'events', `events.out.tfevents.0000000001.here.1`);
  await mkdir(held, { recursive: true }); // a folder: no system removes it as a file
  const log = await MetricsLog.open(run, startState());
  await log.append(epochLine(15, 1));
  const names = (await readdir(join(run, 'events'))).sort();
  // TensorBoard reads the new one last, and forgets the other at its start
  assert.deepEqual([names.length, names[0]], [2, basename(held)]);
});
