import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { glibcVersion } from '../../base/process/glibc-version.js';

/**
 * A program of 0.2 GB, several times over; prints what `keepMemory` returned and the page faults of the last runs. Its
 * blocks are larger than 32 MB: smaller ones glibc may come to keep by itself, where one in use lies above them.
 */
const program = (keep: boolean) => `
  import * as tf from '@tensorflow/tfjs-core';
  import { keepMemory } from 'alexnet/backend';
  const kept = ${keep ? 'keepMemory()' : 'false'};
  await tf.setBackend('onnxruntime');
  const x = tf.ones([9 * 2 ** 20]);
  const run = () => tf.tidy(() => {
    const parts = Array.from({ length: 4 }, (_, i) => tf.square(tf.add(x, i)));
    tf.sum(tf.addN(parts)).dataSync();
  });
  for (let i = 0; i < 2; i++) run();
  const before = process.resourceUsage().minorPageFault;
  for (let i = 0; i < 2; i++) run();
  console.log(JSON.stringify({ kept, faults: process.resourceUsage().minorPageFault - before }));`;

function measured(keep: boolean): { kept: boolean; faults: number } {
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', program(keep)], {
    encoding: 'utf8',
  });
  return JSON.parse(printed);
}

/** Where the kernel gives large pages unasked, there are few faults with and without. */
function largePagesUnasked(): boolean {
  try {
    return readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[always]');
  } catch {
    return false;
  }
}

const skip =
  (glibcVersion() === undefined && 'glibc alone keeps memory') ||
  (largePagesUnasked() && 'this kernel gives large pages without being asked');

describe('memory of large programs', { skip }, () => {
  it('stays with a process that called keepMemory, and otherwise goes back to the kernel after each run', () => {
    const { faults } = measured(false);
    const keeping = measured(true);
    assert.equal(keeping.kept, true);
    assert.ok(keeping.faults < faults / 4, `${keeping.faults} page faults with it, ${faults} without`);
  });
});
