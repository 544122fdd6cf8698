import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/errors.js';
import { isOutOfMemory, OutOfMemoryError, withMemory } from '../../base/out-of-memory.js';

test('tells memory that ran out from other faults, by whichever library says it', () => {
  for (const message of [
    'std::bad_alloc',
    "Non-zero status code returned while running Mul node. Name:'v556' Status Message: std::bad_alloc",
    'onnxruntime/core/framework/bfc_arena.cc:359 BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1',
    'Array buffer allocation failed',
    'OOM when allocating tensor with shape[128,96,55,55]',
    'pthread_create failed, error code: 12 error msg: Cannot allocate memory',
    'VipsJpeg: out of memory -- size == 9MB',
  ]) {
    assert.ok(isOutOfMemory(new Error(message)), message);
  }
  for (const other of [
    new RangeError('Invalid typed array length: -1'),
    new UserError('out of memory.png: no image'),
    'x',
  ])
    assert.equal(isOutOfMemory(other), false, String(other));
});

test('tells of a GPU whose memory ran out', () => {
  for (const message of [
    'WebGPU validation failed. Buffer size (1258291200) exceeds the max buffer size limit (1073741824).',
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[2]',
  ])
    assert.equal(
      (withMemory(new Error(message), 2.5e9) as Error).message,
      `out of GPU memory: this computation needs up to 2.50 GB (${message.split('\n')[0]})`,
    );
});

test('says what was needed, what the process holds and what is free', () => {
  const error = withMemory(new Error('std::bad_alloc'), 2.5e9);
  assert.ok(error instanceof OutOfMemoryError && error instanceof UserError);
  assert.match(
    error.message,
    /^out of memory: this computation needs up to 2\.50 GB; the process holds \d+\.\d\d GB, \d+\.\d\d GB more are free \(std::bad_alloc\)$/,
  );
  assert.equal(withMemory(error, 1), error);
});
