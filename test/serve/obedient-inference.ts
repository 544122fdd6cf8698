/**
 * Runs in place of the inference process, with the real message loop around a classifier that does what the "image"
 * says (see `order`): `pid`, `weights` (the number in its file), `count`, `runs`, `leak <bytes>`, `sleep <ms>`, `hang`, `die`, `die unless <file>`, `fail`.
 * Decodes nothing; loads neither sharp nor onnxruntime.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileSignature } from '../../base/file-signature.js';
import { beginWithOptions } from '../../serve/forked-process.js';
import type { Classifier } from '../../serve/inference/classifier.js';
import { runInferenceLoop } from '../../serve/inference/inference-loop.js';
import type { InferenceOptions } from '../../serve/inference/messages.js';
import type { ServedModel } from '../../serve/served-model.js';

/** Blocks the thread as inference does, for ever without a length. */
function block(ms?: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
  block();
}

let count = 0;
let runs = 0;
let weights = 0;
const leaked: Buffer[] = [];

const COMMANDS: Record<string, (argument: string) => number> = {
  pid: () => process.pid,
  weights: () => weights,
  count: () => count,
  runs: () => runs,
  leak: (bytes) => leaked.push(Buffer.alloc(Number(bytes), 1)),
  sleep: (ms) => {
    block(Number(ms));
    return 0;
  },
  hang: () => {
    block();
    return 0;
  },
  die: (argument) => {
    const marker = argument.replace('unless ', '');
    if (argument && existsSync(marker)) return 0;
    if (argument) writeFileSync(marker, '');
    die();
    return 0;
  },
  fail: () => {
    throw new Error('secret of the house');
  },
};

beginWithOptions<InferenceOptions>((options) => {
  void runInferenceLoop((log) => open(options, log), options.batchDelayMs);
});

async function open(
  { file, name, version, batch = 1 }: InferenceOptions,
  log: (line: string) => void,
): Promise<Classifier> {
  log('loading');
  if (file === 'dies while loading') die();
  if (file === 'loads for ever') await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
  const content = existsSync(file) ? readFileSync(file, 'utf8') : 'none';
  weights = Number(content);
  const model: ServedModel = {
    name: name ?? 'obedient',
    version,
    labels: [content === '2' ? 'result of 2' : 'result', content === 'none' ? 'nothing' : content],
    crops: 10,
    imagePx: 8,
    fit: 'cut',
    cropPx: 8,
    activation: { applied: 'none', multiLabel: false, why: 'the commands give probabilities' },
    input: { name: 'image', datatype: 'UINT8', shape: [-1, 8, 8, 3] },
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 2] }],
    answer: 'probabilities',
  };
  return {
    model,
    provider: 'cpu',
    batch,
    remembered: { of: content, activation: model.activation },
    signatures: [await fileSignature(file).catch(() => 'none')],
    decode: async (bytes) => bytes.slice(3),
    // The first "probability" is the command's result.
    infer: async (images) => {
      runs += 1;
      return images.map((bytes) => {
        const [command, ...words] = Buffer.from(bytes).toString().split(' ');
        if (command !== 'count') count += 1;
        return Float32Array.of(COMMANDS[command](words.join(' ')), 0);
      });
    },
    inferByCrop: async () => {
      throw new Error('not of the stand-in');
    },
    run: async () => [],
    release: async () => undefined,
  };
}
