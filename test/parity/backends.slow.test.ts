/** The networks that `backends.test.ts` leaves out. */
import { describe } from 'node:test';
import { NETWORKS } from '../../model/registry.js';
import { itAgrees } from './backends.js';

const QUICK = ['alexnet', 'cifar10-quick'];

describe('a training step on onnxruntime and on the cpu backend', () => {
  for (const spec of Object.values(NETWORKS)) if (!QUICK.includes(spec.name)) itAgrees(spec);
});
