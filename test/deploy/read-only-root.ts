/**
 * A command as the container runtime starts it, without one: in a mount namespace whose file systems are read-only, as
 * uid 1000 without capabilities or ways to them, with no environment but the image's. Needs root and Linux, as the
 * runtime does.
 */
import { spawnSync } from 'node:child_process';

export const UID = 1000;

/** Words before a command that is to run as the image's user. */
export const AS_USER = [
  ...['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--no-new-privs'],
  ...['--bounding-set=-all', '--inh-caps=-all'],
];

/** Runs the words after it in place of the shell, so that signals reach them. */
const READ_ONLY = `
while read -r _ _ _ _ point _; do
  case $point in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$point" 2>/dev/null ;; esac
done < /proc/self/mountinfo
exec "$@"`;

export const confined = (command: readonly string[]): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'bash', '-c', READ_ONLY, 'bash'],
  ...AS_USER,
  ...command,
];

/** Why it cannot be tried here, or with this file; undefined if it can. */
export function whyNotConfined(readable: string): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  const [program, ...words] = confined([process.execPath, '-e', 'require("fs").accessSync(process.argv[1])', readable]);
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  return status === 0
    ? undefined
    : `needs mount namespaces, and files that uid ${UID} may read: ${error ?? stderr.trim()}`;
}
