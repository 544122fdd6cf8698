/**
 * Commands that run one after another in a single process, which loads modules once: for the many tests that are about
 * what a command says and writes. What is about processes themselves (signals, streams, how one ends) takes
 * `command.ts`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Finished, resultOf } from './command.js';

const CHILD = fileURLToPath(new URL('./shared-process-child.js', import.meta.url));

let child: ChildProcess | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Runs `alexnet <words>` to its end. */
export const alexnet = (...words: string[]): Promise<Finished> => alexnetIn(process.cwd(), ...words);

/** The same in another folder. */
export function alexnetIn(cwd: string, ...words: string[]): Promise<Finished> {
  const ended = last.then(() => finished(cwd, words));
  last = ended.catch(() => undefined);
  return ended;
}

/** The last line of stdout of a command given `--json`. @throws {Error} with stderr if it failed */
export const json = async <T>(...words: string[]): Promise<T> => resultOf<T>(words, await alexnet(...words, '--json'));

async function finished(cwd: string, words: string[]): Promise<Finished> {
  child ??= fork(CHILD, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const running = child;
  running.ref();
  running.channel!.ref();
  const settled = new AbortController();
  const crashed = once(running, 'exit', settled).then(([code, signal]) => {
    child = undefined;
    throw new Error(`alexnet ${words.join(' ')} ended its process: ${signal ?? code}`);
  });
  running.send({ cwd, words });
  const [result] = await Promise.race([once(running, 'message'), crashed]);
  settled.abort();
  running.unref(); // the test file may end
  running.channel!.unref();
  return result as Finished;
}
