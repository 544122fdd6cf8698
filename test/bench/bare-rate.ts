/** Images a second of `session.run` alone, in a process of its own. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./bare-session.js', import.meta.url));

export function bareRate(file: string, seconds: number): number {
  const output = execFileSync(process.execPath, [SCRIPT, file, String(seconds)], { encoding: 'utf8' });
  return Number(output.trim().split('\n').at(-1));
}
