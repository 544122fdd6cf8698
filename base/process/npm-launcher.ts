/**
 * The npm process that started this one: `npx alexnet`, `npm run`. Killed, it leaves its child running without a
 * signal.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const POLL_MS = 500;

/**
 * Its process number; undefined if npm did not start this process itself, or in order to leave it running in the
 * background.
 */
export function findLauncher(): number | undefined {
  const { npm_command, npm_lifecycle_script = '' } = process.env;
  if (npm_command === undefined || process.platform === 'win32' || /(?<![&>])&(?![&>])/.test(npm_lifecycle_script))
    return undefined;
  const parent = processOf(process.ppid);
  if (isNpm(parent)) return process.ppid;
  return /^\S*sh -c /.test(parent?.command ?? '') && isNpm(processOf(parent!.parent)) ? parent!.parent : undefined;
}

/**
 * Calls `gone` when the launcher or the shell between has ended; does not keep this process alive.
 * @returns stops watching
 */
export function watch(launcher: number, gone: () => void): () => void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent && isRunning(launcher)) return;
    clearInterval(timer);
    gone();
  }, POLL_MS).unref();
  return () => clearInterval(timer);
}

interface OtherProcess {
  parent: number;
  command: string;
}

/** npm writes its title, e.g. `npm exec alexnet serve`, over its command line. */
function isNpm(process?: OtherProcess): boolean {
  return process?.command.startsWith('npm ') ?? false;
}

function processOf(pid: number): OtherProcess | undefined {
  try {
    if (process.platform === 'linux') {
      const [, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ');
      return { parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') };
    }
    const line = execFileSync('ps', ['-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' });
    const [, parent, command] = /^\s*(\d+)\s+(.*)/.exec(line)!;
    return { parent: Number(parent), command };
  } catch {
    return undefined; // ended meanwhile, or no ps
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
