/** The networks that `tfjs-node-kernels.test.ts` leaves out. */
import { describe } from 'node:test';
import { NETWORKS } from '../../model/registry.js';
import { itHasTheKernelsOf } from './tfjs-node-kernels.js';

const QUICK = ['alexnet', 'cifar10-quick'];

describe('a training step on the kernels of tfjs-node', () => {
  for (const spec of Object.values(NETWORKS)) if (!QUICK.includes(spec.name)) itHasTheKernelsOf(spec);
});
