/**
 * Starts a process that computes for the server: typed arrays travel as they are, the server's stdout and its secrets
 * stay the server's.
 */
import { type ChildProcess, fork } from 'node:child_process';

/** Credentials by their usual names. A process that computes has no use for them, and a fault in it could show them. */
const SECRET = /TOKEN|SECRET|PASSW|CREDENTIAL|_KEY(_ID)?$/i;

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
    env: { MALLOC_ARENA_MAX: '2', ...withoutSecrets(process.env) },
  });
}

function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !SECRET.test(name)));
}
