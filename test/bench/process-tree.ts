/** What a process and its children take of the machine. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export function childrenOf(pid: number): number[] {
  try {
    const text = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(pid)], { encoding: 'utf8' });
    const lines = text.trim().split('\n');
    return lines.filter((line) => !line.endsWith(' ps')).map((line) => Number.parseInt(line, 10));
  } catch {
    return []; // ps ends with 1 if there are none
  }
}

/** Resident memory, MB (10⁶ bytes): now, and the sum of each one's most. */
export function memoryOf(pid: number): { now: number; peak: number } {
  let [now, peak] = [0, 0];
  for (const id of [pid, ...childrenOf(pid)]) {
    const status = readFileSync(`/proc/${id}/status`, 'utf8');
    now += (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6;
    peak += (Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6;
  }
  return { now, peak };
}

/** Open file descriptors of all of them. */
export function descriptorsOf(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, id) => sum + readdirSync(`/proc/${id}/fd`).length, 0);
}
