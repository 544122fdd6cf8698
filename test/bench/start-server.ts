/** `alexnet serve` in a process of its own, for benchmarks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

/**
 * @param children  the process is added to these, for whoever ends them
 * @param flags     of the command, over those given here
 */
export async function startServer(file: string, queue: number, children: ChildProcess[], ...flags: string[]) {
  const started = performance.now();
  const words = ['serve', '--model', file, '--port', '0', '--provider', 'cpu', '--queue', String(queue), ...flags];
  const child = spawn(process.execPath, [CLI, ...words], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  const [line] = await once(child.stdout!, 'data');
  return { url: JSON.parse(String(line)).url as string, process: child, readyS: (performance.now() - started) / 1000 };
}
