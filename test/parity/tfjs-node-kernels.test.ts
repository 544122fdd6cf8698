/** The other networks are in `tfjs-node-kernels.slow.test.ts`. */
import { describe } from 'node:test';
import { findNetwork } from '../../model/registry.js';
import { itHasTheKernelsOf } from './tfjs-node-kernels.js';

describe('a training step on the kernels of tfjs-node', () => {
  for (const name of ['alexnet', 'cifar10-quick']) itHasTheKernelsOf(findNetwork(name));
});
