/**
 * Which of tfjs's kernels have a rule, as Markdown for docs/backend.md: `node dist/onnx/backend/kernel-table.js` prints
 * it.
 */
import '../../base/tfjs/backend-cpu.js';
import { fileURLToPath } from 'node:url';
import { tf } from '../../base/tfjs/core.js';
import { LOWERINGS } from '../lowerings/index.js';

/** Every kernel of tfjs's cpu backend once, and our own. */
export function kernelTable(): string {
  const onCpu = tf.getKernelsForBackend('cpu').map(({ kernelName }) => kernelName);
  const names = (kernels: Iterable<string>) => [...kernels].sort().join(', ');
  const lowered = onCpu.filter((kernel) => LOWERINGS.has(kernel));
  const delegated = onCpu.filter((kernel) => !LOWERINGS.has(kernel));
  const own = [...LOWERINGS.keys()].filter((kernel) => !onCpu.includes(kernel));
  return [
    '| | kernels | |',
    '| --- | --: | --- |',
    `| rule | ${lowered.length} of ${onCpu.length} | ${names(lowered)} |`,
    `| delegated | ${delegated.length} | ${names(delegated)} |`,
    `| our own | ${own.length} | ${names(own)} |`,
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(kernelTable());
