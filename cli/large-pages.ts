/**
 * Memory in pages of 2 MB instead of 4 kB. A training step of AlexNet writes some 4 GB that the kernel hands out page
 * by page: with small pages that is a quarter of the step. glibc asks for large ones only if told so when the process
 * starts (`glibc.malloc.hugetlb`, glibc 2.35), so the program starts itself again, if Node can (`process.execve`, Node
 * 22.15).
 */
import { readFileSync } from 'node:fs';
import { glibcVersion } from '../base/process/glibc-version.js';

const SETTING = 'glibc.malloc.hugetlb=1';

/** Not yet in the types of the oldest Node we support. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/** True if the kernel gives large pages to those who ask, and nobody has asked yet. */
function wouldHelp(): boolean {
  if (process.env.GLIBC_TUNABLES !== undefined) return false;
  const [, minor] = (glibcVersion() ?? '').split('.').map(Number);
  return minor >= 35 && readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[madvise]');
}

/**
 * Restarts the program with large pages: the same process, arguments and streams. To be called before anything else.
 * @returns advice for people where that would help but cannot be done from here
 */
export function useLargePages(): string | undefined {
  let helps: boolean;
  try {
    helps = wouldHelp();
  } catch {
    return undefined; // a system without these files
  }
  if (!helps) return undefined;
  const { execve } = process as unknown as { execve?: Execve };
  if (!execve)
    return `large nets train a quarter faster with GLIBC_TUNABLES=${SETTING} before the command (or Node 22.15)`;
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  return execve(process.execPath, args, { ...process.env, GLIBC_TUNABLES: SETTING });
}
