/**
 * Starts a process that computes for the server: typed arrays travel as they are, the server's stdout and its secrets
 * stay the server's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Compiled file of the process that decodes and infers. */
export const INFERENCE_PROCESS = fileURLToPath(new URL('../inference/inference-process.js', import.meta.url));

/** Credentials by their usual names. A process that computes has no use for them, and a fault in it could show them. */
const SECRET = /TOKEN|SECRET|PASSW|CREDENTIAL|_KEY(_ID)?$|^OTEL_.*HEADERS$/i;

/** Processes that wait for their options, by module. */
const ahead = new Map<string, ChildProcess>();

/**
 * Starts a process whose options are not known yet, so that it loads its packages while the server loads its own. It
 * keeps nobody from ending.
 */
export function forkAhead(module: string): void {
  const child = start(module);
  const forget = () => ahead.get(module) === child && ahead.delete(module);
  child.once('error', forget).once('exit', forget);
  child.unref();
  child.channel?.unref();
  ahead.set(module, child);
}

/**
 * @param module   compiled file that runs as the process
 * @param options  handed to it as its first message, see `beginWithOptions`
 */
export function forkQuietly(module: string, options: object): ChildProcess {
  const child = ahead.get(module) ?? start(module);
  ahead.delete(module);
  child.ref();
  child.channel?.ref();
  // One that did not start cannot be sent anything; `error` tells, and `exit` of one that is gone.
  if (child.pid !== undefined) child.send(options, () => undefined);
  return child;
}

function start(module: string): ChildProcess {
  return fork(module, {
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
