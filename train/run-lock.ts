/** One process a run: two that write the same checkpoints would mix them. */
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { UserError } from '../model/errors.js';
import { writeError } from './disk-full.js';

/** A process that was killed may live on for a moment, longer than the launcher that killed it. */
const DYING_MS = 1000;

interface Holder {
  pid: number;
  host: string;
}

/**
 * Takes the run for this process. What a killed process left behind is taken over.
 * @returns gives it back
 * @throws {UserError} when a living process has it, or the disk is full
 */
export async function lockRun(path: string): Promise<() => Promise<void>> {
  const file = join(path, 'lock');
  await mkdir(path, { recursive: true });
  const own: Holder = { pid: process.pid, host: hostname() };
  const take = () => writeFile(file, JSON.stringify(own), { flag: 'wx' });
  try {
    await take();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw writeError(file, error);
    const holder = await stayingHolder(file);
    if (holder) {
      const where = holder.host === own.host ? '' : ` on ${holder.host}`;
      throw new UserError(
        `${path}: in use by process ${holder.pid}${where}; wait for its end, or name another --out${where ? `; where that process is gone, remove ${file}` : ''}`,
      );
    }
    await rm(file, { force: true });
    await take();
  }
  return async () => {
    await rm(file, { force: true });
    await rmdir(path).catch(() => undefined); // where nothing was written beside it
  };
}

/** Who has the run and does not go. */
async function stayingHolder(file: string): Promise<Holder | undefined> {
  for (const started = Date.now(); ; await setTimeout(100)) {
    const holder = await readHolder(file);
    if (!holder || !isAlive(holder)) return undefined;
    if (Date.now() - started > DYING_MS) return holder;
  }
}

/** Whether a living process, other than this one, works on the run. */
export async function isInUse(path: string): Promise<boolean> {
  const holder = await readHolder(join(path, 'lock'));
  return holder !== undefined && isAlive(holder);
}

/** undefined where the file was cut short or is gone by now. */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** Processes of other machines count as alive: nothing here can tell. */
function isAlive({ pid, host }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Ended, and not yet missed by the process that started it: proc_pid_stat(5). */
function isZombie(pid: number): boolean {
  try {
    return /^ [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, ''));
  } catch {
    return false; // no Linux, or gone
  }
}
