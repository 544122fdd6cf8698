import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError, UserError } from '../../../base/errors.js';
import { ALONE } from '../../../train/distributed/communicator.js';
import { checkSameJob, ownDevice, withRank } from '../../../train/distributed/launched.js';
import { processes } from './in-one-process.js';

for (const [env, device] of [
  [{ OMPI_COMM_WORLD_LOCAL_RANK: '2' }, '2'],
  [{ MPI_LOCALRANKID: '1', CUDA_VISIBLE_DEVICES: '4,6,7' }, '6'],
  [{ SLURM_LOCALID: '3', CUDA_VISIBLE_DEVICES: '5' }, '5'],
  [{ CUDA_VISIBLE_DEVICES: '4,6' }, undefined],
  [{}, undefined],
] as const) {
  test(`with ${JSON.stringify(env)} a process takes the device ${device}`, () => {
    assert.equal(ownDevice(env), device);
  });
}

test('an error says once in which process and step it came, and stays of its kind', () => {
  const group = { ...ALONE, rank: 3, size: 5 };
  const usage = withRank(group, new UsageError('--batch is too small'), 17) as Error;
  assert.ok(usage instanceof UsageError);
  assert.equal(usage.message, 'rank 3 of 5, step 17: --batch is too small');
  assert.equal(withRank(group, usage), usage);
  const fault = new TypeError('x is undefined');
  assert.equal(withRank(group, fault), fault);
  assert.match(fault.stack!, /^rank 3 of 5: TypeError: x is undefined/);
  const single = new UserError('no such file');
  assert.equal(withRank(ALONE, single, 17), single);
});

test('processes on other backends, or with a flag that one lacks, are told apart', async () => {
  const check = (own: { request: object; backend: string }[]) => {
    const group = processes(2);
    const checks = own.map(({ request, backend }, rank) =>
      checkSameJob({ group: group[rank], gradientType: 'float32' }, request, backend),
    );
    return Promise.all(checks);
  };
  const request = { backend: 'auto', out: 'run' };
  await check([
    { request, backend: 'onnxruntime on cuda' },
    { request, backend: 'onnxruntime on cuda' },
  ]);
  await assert.rejects(
    check([
      { request, backend: 'onnxruntime on cuda' },
      { request, backend: 'onnxruntime on cpu' },
    ]),
    /backend: rank 0 has "onnxruntime on cuda", rank 1 "onnxruntime on cpu"/,
  );
  await assert.rejects(
    check([
      { request, backend: 'cpu' },
      { request: { ...request, classWeights: 'balanced' }, backend: 'cpu' },
    ]),
    /classWeights: rank 0 has undefined, rank 1 "balanced"/,
  );
});
