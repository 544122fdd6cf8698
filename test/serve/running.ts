/** Servers for tests, in this process and in others, each on a port of its own. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer, type ImageServer, type ServerOptions } from '../../serve/server.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
export const OBEDIENT = at('./obedient-inference.js');
const PROMPT_VIEWS = at('./prompt-views.js');

/** A server in this process; ended with the test file. */
export async function running({
  file,
  ...options
}: Partial<ServerOptions> & { file?: string }): Promise<{ url: string; server: ImageServer }> {
  const own = { port: 0, provider: 'cpu', viewModule: PROMPT_VIEWS } as const;
  const server = createServer({ ...own, ...(file !== undefined && { files: [file] }), ...options });
  after(() => server.kill());
  return { url: (await server.start()).url, server };
}

/** One whose inference process, only one unless asked for, obeys `order`. */
export async function obedient(options: Partial<ServerOptions> = {}) {
  return running({ files: ['none'], inferenceModule: OBEDIENT, replicas: 1, ...options });
}

export interface Running {
  process: ChildProcess;
  /** First line on stdout, or what came until the end. */
  line: Promise<string>;
  /** All that has come on stderr. */
  stderr(): string;
  /** Exit code, or the signal's name. */
  ended: Promise<number | string>;
}

/** A node process; killed with the test file. */
export const node = (script: string, ...words: string[]): Running => start(process.execPath, [at(script), ...words]);

/** Any process; killed with the test file. */
export function start(
  command: string,
  words: string[],
  options: Pick<SpawnOptions, 'env' | 'cwd' | 'detached'> = {},
): Running {
  const child = spawn(command, words, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const line = new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (stdout.includes('\n')) resolve(stdout.split('\n')[0]);
    });
    child.stdout.on('end', () => resolve(stdout));
  });
  const ended = once(child, 'close').then(([code, signal]) => signal ?? code);
  return { process: child, line, stderr: () => stderr, ended };
}

export const CLI = at('../../cli/main.js');
export const alexnet = (...words: string[]) => start(process.execPath, [CLI, ...words]);

/** The command in a shell that limits the number of open files. */
export const alexnetWithFiles = (files: number, ...words: string[]) =>
  start('sh', ['-c', `ulimit -n ${files} && exec "$0" "$@"`, process.execPath, CLI, ...words]);

export function post(
  url: string,
  body: Uint8Array | FormData,
  headers: Record<string, string> = {},
  path = '/classify',
) {
  return fetch(url + path, { method: 'POST', body: body as RequestInit['body'], headers });
}

/** The answer to an `order`. */
export async function result(response: Response | Promise<Response>): Promise<number> {
  const { predictions } = (await (await response).json()) as { predictions: { index: number; probability: number }[] };
  return predictions.find(({ index }) => index === 0)!.probability;
}

export async function errorOf(
  response: Response | Promise<Response>,
): Promise<{ status: number; code: string; message: string }> {
  const { status, ...reply } = await Promise.resolve(response).then(async (r) => ({
    status: r.status,
    body: await r.json(),
  }));
  return { status, ...(reply.body as { error: { code: string; message: string } }).error };
}

/** Polls until `condition` holds. @throws after `limitMs` */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = 20_000): Promise<void> {
  const started = performance.now();
  while (!(await condition())) {
    if (performance.now() - started > limitMs) throw new Error(`not so after ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** No such process, or only its entry waiting to be collected. */
export function gone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform === 'linux' && /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    return ['ESRCH', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
