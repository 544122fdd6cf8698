/**
 * `npm run bench -- programs`: steps of programs that people write, on this backend and on tfjs's cpu and wasm backends,
 * in a process each.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tf } from '../../base/tfjs/core.js';
import { FOUR_PROGRAMS, type Step } from '../onnx/four-programs.js';
import { median } from './median.js';
import { SMALL_LOOPS } from './small-loops.js';

const require = createRequire(import.meta.url);
const HERE = fileURLToPath(import.meta.url);

/** Wide enough that a step takes some time on every backend. */
const WIDTHS = { gan: 64, transformer: 64, vae: 28, text: 32 };

const PROGRAMS: Record<string, () => Step> = {
  ...Object.fromEntries(
    Object.entries(FOUR_PROGRAMS).map(([name, program]) => [name, () => program(WIDTHS[name as 'gan'])]),
  ),
  ...SMALL_LOOPS,
};

/** Milliseconds of the steps of one program, in this process. */
async function time(name: string, backend: string, steps: number): Promise<number[]> {
  if (backend === 'onnxruntime') await import('../../onnx/backend/index.js');
  else require(`@tensorflow/tfjs-backend-${backend}`);
  if (!(await tf.setBackend(backend))) throw new Error(`backend ${backend} does not start`);
  const step = PROGRAMS[name]();
  return Array.from({ length: steps }, (_, i) => {
    const start = performance.now();
    tf.tidy(() => step(i).dataSync());
    return performance.now() - start;
  });
}

/** @param steps  the second half of which counts */
export async function programs(steps: number): Promise<void> {
  const backends = ['onnxruntime', 'cpu', 'wasm'];
  console.log(`ms a step, median        ${backends.map((backend) => backend.padStart(12)).join('')}`);
  for (const name of Object.keys(PROGRAMS)) {
    const cells: string[] = [];
    for (const backend of backends) cells.push((await timed(name, backend, steps)).padStart(12));
    console.log(name.padEnd(25) + cells.join(''));
  }
}

async function timed(name: string, backend: string, steps: number): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [HERE, name, backend, `${steps}`]);
    const ms = JSON.parse(stdout.trim().split('\n').at(-1)!) as number[];
    return median(ms.slice(steps >> 1)).toFixed(1);
  } catch (error) {
    const [kernel] = /Kernel '\w+' not registered/.exec((error as { stderr?: string }).stderr ?? '') ?? [];
    return kernel ? `no ${/'(\w+)'/.exec(kernel)![1]}` : 'fails';
  }
}

if (process.argv[1] === HERE) {
  const [name, backend, steps] = process.argv.slice(2);
  console.log(JSON.stringify(await time(name, backend, Number(steps))));
}
