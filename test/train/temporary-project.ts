/** A project in a temporary folder with this package installed, laid out as npm does it. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeFiles } from './data/tiny-images.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OPTIONAL = ['@tensorflow/tfjs', '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'];

/** How a command ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Copies this package's build into a new project and links what it needs, but not TensorFlow's packages.
 * @returns its folder
 */
export async function temporaryProject(): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), 'alexnet-project-'));
  const modules = join(project, 'node_modules');
  await mkdir(join(modules, '@tensorflow'), { recursive: true });
  const [unscoped, tensorflow] = await Promise.all(['', '@tensorflow'].map((scope) => installed(scope)));
  for (const name of [...unscoped, ...tensorflow]) {
    if (name === '@tensorflow' || OPTIONAL.includes(name)) continue;
    await symlink(join(ROOT, 'node_modules', name), join(modules, name), 'junction');
  }
  const filter = (path: string) => path !== join(ROOT, 'dist/test');
  await cp(join(ROOT, 'dist'), join(modules, 'alexnet/dist'), { recursive: true, filter });
  await cp(join(ROOT, 'package.json'), join(modules, 'alexnet/package.json'));
  return project;
}

/** A project in which `npx alexnet` is this package's build; gone after the test. */
export async function npmProject(context: TestContext): Promise<string> {
  const project = await writeFiles(context, { 'package.json': '{}', 'node_modules/.bin/': null });
  await symlink(join(ROOT, 'dist/cli/main.js'), join(project, 'node_modules/.bin/alexnet'));
  return project;
}

async function installed(scope: string): Promise<string[]> {
  const names = await readdir(join(ROOT, 'node_modules', scope));
  return names.filter((name) => !name.startsWith('.')).map((name) => join(scope, name));
}

/**
 * Installs the stand-in for tfjs-node-gpu (test/fixtures/tfjs-node-gpu) in place of an earlier one.
 * @param files  what differs from it, by path in the package
 */
export async function installTensorflow(project: string, files: Record<string, string> = {}): Promise<void> {
  const scope = join(project, 'node_modules/@tensorflow');
  await rm(join(scope, 'tfjs-node-gpu'), { recursive: true, force: true });
  await cp(join(ROOT, 'test/fixtures/tfjs-node-gpu'), join(scope, 'tfjs-node-gpu'), { recursive: true });
  // The package that tfjs-node-gpu reaches tfjs-core through.
  for (const [path, text] of Object.entries({ '../tfjs/package.json': '{}', ...files })) {
    const file = join(scope, 'tfjs-node-gpu', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

/** Runs `alexnet <words>` of the project; `node` are flags of Node itself. */
export function alexnetOf(project: string, words: string[], env: NodeJS.ProcessEnv = {}, node: string[] = []) {
  const cli = join(project, 'node_modules/alexnet/dist/cli/main.js');
  return new Promise<Ended>((resolve) => {
    const child = execFile(
      process.execPath,
      [...node, cli, ...words],
      { env: { ...process.env, ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode!, stdout, stderr }),
    );
  });
}
