/** The networks that `import.test.ts` leaves out. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { NETWORKS } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { comesBack } from './own-files.js';

const QUICK = ['alexnet', 'cifar10-11pct', 'cifar10-quick'];
let folder: string;

before(async () => {
  await selectBackend('onnxruntime');
  folder = await mkdtemp(join(tmpdir(), 'alexnet-import-'));
});
after(() => rm(folder, { recursive: true }));

describe("a file of this project's own", () => {
  for (const name of Object.keys(NETWORKS).filter((name) => !QUICK.includes(name)))
    it(`gives the weights back bit for bit: ${name}`, () => comesBack(name, folder));
});
