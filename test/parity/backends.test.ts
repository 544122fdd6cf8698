/**
 * One training step on the backend `onnxruntime` against tfjs's plain JavaScript: the cpu backend shares no code with
 * the lowering rules. The other networks are in `backends.slow.test.ts`.
 */
import { describe } from 'node:test';
import { findNetwork } from '../../model/registry.js';
import { itAgrees } from './backends.js';

describe('a training step on onnxruntime and on the cpu backend', () => {
  for (const name of ['alexnet', 'cifar10-quick']) itAgrees(findNetwork(name));
});
