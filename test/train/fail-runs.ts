/** Loaded before a command, with `--import`: once the run FAIL_AFTER has a checkpoint, everything that onnxruntime runs fails with the message FAIL_WITH. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { FAIL_AFTER, FAIL_WITH } = process.env;

type Session = { run(...words: unknown[]): unknown };

const { binding } = createRequire(import.meta.url)('onnxruntime-node/dist/binding.js') as {
  binding: { InferenceSession: new () => Session };
};

binding.InferenceSession = class extends binding.InferenceSession {
  override run(...words: unknown[]): unknown {
    if (existsSync(join(FAIL_AFTER!, 'last'))) throw new Error(FAIL_WITH);
    return super.run(...words);
  }
};
