/** Starts a process that computes for the server: typed arrays travel as they are, and the server's stdout stays the server's. */
import { type ChildProcess, fork } from 'node:child_process';

/**
 * @param module   compiled file that runs as the process
 * @param options  handed to it as JSON in its first argument
 */
export function forkQuietly(module: string, options: object): ChildProcess {
  return fork(module, [JSON.stringify(options)], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 2, 2, 'ipc'],
    // Few arenas: glibc returns little of what many threads' libvips allocated.
    env: { MALLOC_ARENA_MAX: '2', ...process.env },
  });
}
