/** Runs the `alexnet` command as a person does, and finds the real images that some checks need. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const ROOT = new URL('../../../', import.meta.url);

/** A file of the folder `../shared/data` next to the repository, or ALEXNET_DATA; undefined if it is absent. */
export function realData(name: string): string | undefined {
  const folder = process.env.ALEXNET_DATA ?? fileURLToPath(new URL('../shared/data', ROOT));
  const file = `${folder}/${name}`;
  return existsSync(file) ? file : undefined;
}

/** For a test's options: runs it, or says which file is missing. */
export function needs(name: string): { skip: string | false } {
  return { skip: realData(name) ? false : `needs ${name} in ../shared/data (or the folder ALEXNET_DATA)` };
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `alexnet <words>` to its end. */
export const alexnet = (...words: string[]): Promise<Finished> => alexnetAs({}, ...words);

/** The same in another folder, or as another user. */
export async function alexnetAs(
  options: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid'>,
  ...words: string[]
): Promise<Finished> {
  const child = spawn(process.execPath, [CLI, ...words], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

/** The last line of stdout of a command given `--json`. @throws {Error} with stderr if it failed */
export const json = async <T>(...words: string[]): Promise<T> => resultOf<T>(words, await alexnet(...words, '--json'));

/** The last line of what the command printed. @throws {Error} with stderr if it failed */
export function resultOf<T>(words: string[], { code, stdout, stderr }: Finished): T {
  if (code !== 0) throw new Error(`alexnet ${words.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T;
}

/** A running `alexnet serve`. */
export interface Serving {
  url: string;
  stop(): Promise<number | null>;
}

export async function serve(file: string): Promise<Serving> {
  const child = spawn(process.execPath, [CLI, 'serve', '--model', file, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url: string };
    return {
      url,
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
  throw new Error(`alexnet serve --model ${file} ended with ${await ended} before it was ready`);
}
