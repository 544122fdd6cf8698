/** Whether a command is to outlive its terminal. */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { isatty } from 'node:tty';

let known: boolean | undefined;

/**
 * Whether `nohup`, or a script under it, started this process. Node resets the disposition that nohup set, before any
 * JavaScript runs, so this looks at what nohup leaves besides: its name as the shell's last command, a stdin that
 * cannot be read, a parent that ignores SIGHUP.
 */
export function startedByNohup(): boolean {
  // nohup leaves no terminal to write to.
  known ??= !isatty(1) && !isatty(2) && (basename(process.env._ ?? '') === 'nohup' || hasItsStdin() || parentIgnores());
  return known;
}

/** GNU nohup puts /dev/null, open for writing alone, in place of a terminal. */
function hasItsStdin(): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'latin1'));
    return readlinkSync('/proc/self/fd/0') === '/dev/null' && /1$/.test(flags?.[1] ?? '');
  } catch {
    return false; // no Linux, or no stdin
  }
}

function parentIgnores(): boolean {
  try {
    const [, mask] = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${process.ppid}/status`, 'latin1'))!;
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}
