/**
 * How many threads can compute at a time: the processors that this process may run on, or the CPU time that its
 * cgroup grants it (`docker run --cpus`, a Kubernetes limit), whichever is less. Node 20 knows only the first.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Where Linux tells it; others in tests. */
export interface CgroupFiles {
  /** Which group the process is in, one line for each hierarchy. */
  membership: string;
  /** Where the hierarchies are mounted. */
  mounted: string;
}

const LINUX: CgroupFiles = { membership: '/proc/self/cgroup', mounted: '/sys/fs/cgroup' };

let known: number | undefined;

/** Found once: a limit that changes later does not count. */
export function usableCores(): number {
  known ??= Math.min(availableParallelism(), coresOfQuota(LINUX));
  return known;
}

/** Rounded up, as by the JVM, .NET and Go; Infinity without a limit, or where there are no cgroups. */
export function coresOfQuota({ membership, mounted }: CgroupFiles): number {
  const shares = (read(membership) ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers === '') return withParents(path).map((group) => version2(join(mounted, group)));
    const isCpu = controllers.split(',').includes('cpu');
    return isCpu ? withParents(path).map((group) => version1(join(mounted, 'cpu', group))) : [];
  });
  return Math.max(1, Math.ceil(Math.min(Number.POSITIVE_INFINITY, ...shares)));
}

/** A limit holds for all groups below it. In a container, those above its own may be hidden. */
function withParents(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, depth) => names.slice(0, depth).join('/'));
}

function version2(group: string): number {
  const [quota, period] = (read(join(group, 'cpu.max')) ?? 'max').trim().split(' ').map(Number);
  return share(quota, period);
}

function version1(group: string): number {
  return share(Number(read(join(group, 'cpu.cfs_quota_us'))), Number(read(join(group, 'cpu.cfs_period_us'))));
}

/** Processors' worth of time; without a limit the quota is `max` or −1. */
function share(quota: number, period: number): number {
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
