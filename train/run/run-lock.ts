/** One process a run: two that write the same checkpoints would mix them. */
import { readFileSync } from 'node:fs';
import { readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { moveFile } from '../../base/atomic-file.js';
import { writeError } from '../../base/disk-full.js';
import { UserError } from '../../base/errors.js';
import { makeFolder } from '../../base/make-folder.js';

/**
 * A process that was killed may live on for a moment, longer than the launcher that killed it; one that takes the run
 * writes its name a moment later.
 */
const CHANGING_MS = 1000;

interface Holder {
  pid: number;
  host: string;
  /** Tells it from later processes of that number; absent if the system does not. */
  started?: string;
}

/**
 * Takes the run for this process. What a killed process left behind is taken over.
 * @returns gives it back
 * @throws {UserError} when a living process has it, or the disk is full
 */
export async function lockRun(path: string): Promise<() => Promise<void>> {
  const file = join(path, 'lock');
  await makeFolder(path);
  const own: Holder = { pid: process.pid, host: hostname(), started: statOf(process.pid)?.started };
  const text = JSON.stringify(own);
  while (!(await take(file, text))) {
    const left = await leftBehind(path, file, own);
    if (left !== undefined) await remove(file, left);
  }
  return async () => {
    await remove(file, text);
    await rmdir(path).catch(() => undefined); // unless something else was written into it
  };
}

/** @returns false if there is a lock already */
async function take(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw writeError(file, error);
  }
}

/**
 * What a lock says that nobody holds any more; undefined if it is gone by now.
 * @throws {UserError} when a living process has it
 */
async function leftBehind(path: string, file: string, own: Holder): Promise<string | undefined> {
  for (const started = Date.now(); ; await setTimeout(100)) {
    const text = await readFile(file, 'utf8').catch((error) => {
      if (error.code !== 'ENOENT') throw writeError(file, error); // a folder
      return undefined;
    });
    if (text !== undefined && !isLock(text)) throw new UserError(`${file}: not a lock of alexnet; move it away`);
    const holder = text === undefined ? undefined : parse(text);
    const late = Date.now() - started > CHANGING_MS;
    if (text === undefined || (holder && !isAlive(holder)) || (!holder && late)) return text;
    if (!holder || !late) continue;
    const where = holder.host === own.host ? '' : ` on ${holder.host}`;
    throw new UserError(
      `${path}: in use by process ${holder.pid}${where}; wait until it ends, or name another --out${where ? `; if that process is gone, remove ${file}` : ''}`,
    );
  }
}

/** Removes the lock that says `text`, and no other: one that came in its place meanwhile is put back. */
async function remove(file: string, text: string): Promise<void> {
  const aside = `${file}-${process.pid}`;
  try {
    await moveFile(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) === text) await rm(aside);
  else await moveFile(aside, file);
}

/** Whether a living process, other than this one, works on the run. */
export async function isInUse(path: string): Promise<boolean> {
  const holder = parse(await readFile(join(path, 'lock'), 'utf8').catch(() => ''));
  return holder !== undefined && isAlive(holder);
}

/** Whether there is a lock, held or left behind; one that was cut short counts. */
export async function holdsLock(path: string): Promise<boolean> {
  const text = await readFile(join(path, 'lock'), 'utf8').catch(() => undefined);
  return text !== undefined && isLock(text);
}

function isLock(text: string): boolean {
  return parse(text) !== undefined || '{"pid":'.startsWith(text.slice(0, 7));
}

/** undefined if it is cut short, or no lock. */
function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    return typeof holder?.pid === 'number' ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

/** Processes of other machines count as alive: nothing here can tell. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = statOf(pid);
  // Z and X: ended, and not yet missed by the process that started it.
  return !stat || (!/[ZX]/.test(stat.state) && (started === undefined || started === stat.started));
}

/** proc_pid_stat(5); undefined without Linux, or if there is no such process. */
function statOf(pid: number): { state: string; started: string } | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { state: fields[0], started: `${boot} ${fields[22 - 3]}` };
  } catch {
    return undefined;
  }
}
