import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { coresOfQuota, usableCores } from '../../base/process/usable-cores.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-cgroup-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

/** Cores of a process whose /proc/self/cgroup is `membership`, with these files under /sys/fs/cgroup. */
function cores(membership: string, files: Record<string, string>): number {
  const root = join(folder, String(count++));
  const all = { ...files, membership };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return coresOfQuota({ membership: join(root, 'membership'), mounted: root });
}

test('takes the quota of cgroup 2, rounded up, and at least one core', () => {
  assert.equal(cores('0::/\n', { 'cpu.max': '400000 100000\n' }), 4);
  assert.equal(cores('0::/\n', { 'cpu.max': '150000 100000\n' }), 2);
  assert.equal(cores('0::/\n', { 'cpu.max': '20000 100000\n' }), 1);
  assert.equal(cores('0::/\n', { 'cpu.max': 'max 100000\n' }), Number.POSITIVE_INFINITY);
});

test('takes the least quota of a group and those above it', () => {
  const files = { 'kube/cpu.max': '300000 100000\n', 'kube/pod/cpu.max': 'max 100000\n' };
  assert.equal(cores('0::/kube/pod\n', files), 3);
  assert.equal(cores('0::/kube/pod\n', { ...files, 'kube/pod/cpu.max': '100000 50000\n' }), 2);
  assert.equal(cores('0::/../other\n', { 'cpu.max': '200000 100000\n' }), 2); // another group, seen from a container
});

test('takes the quota of cgroup 1, whether the container shows the host’s path or not', () => {
  const quota = { 'cpu.cfs_quota_us': '250000\n', 'cpu.cfs_period_us': '100000\n' };
  const at = (path: string) =>
    Object.fromEntries(Object.entries(quota).map(([name, text]) => [join('cpu', path, name), text]));
  const membership = '5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n';
  assert.equal(cores(membership, at('')), 3);
  assert.equal(cores(membership, at('docker/abc')), 3);
  const free = { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' };
  assert.equal(cores('1:cpu:/\n0::/\n', free), Number.POSITIVE_INFINITY);
});

test('without cgroups every processor that the process may use counts', () => {
  const missing = { membership: join(folder, 'none'), mounted: folder };
  assert.equal(coresOfQuota(missing), Number.POSITIVE_INFINITY);
  assert.ok(usableCores() >= 1 && usableCores() <= availableParallelism());
});
