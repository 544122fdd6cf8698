/** Loaded before a command, with `--import`: the GPU is lost once the run LOST_WITH has a checkpoint, and every run fails as on WebGPU. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

type Session = { run(...words: unknown[]): unknown };

const { binding } = createRequire(import.meta.url)('onnxruntime-node/dist/binding.js') as {
  binding: { InferenceSession: new () => Session };
};

binding.InferenceSession = class extends binding.InferenceSession {
  override run(...words: unknown[]): unknown {
    if (existsSync(join(process.env.LOST_WITH!, 'last')))
      throw new Error('Failed to download data from buffer. wgpu::MapAsyncStatus value: 3');
    return super.run(...words);
  }
};
