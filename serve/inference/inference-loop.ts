/** What the inference process does from its start to its end: opens a classifier, then answers message after message. */
import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../model/errors.js';
import { RequestError } from '../errors.js';
import type { Classifier } from './classifier.js';
import type { FromInference, Reply, ToInference } from './messages.js';

type Decoded = { pixels: Uint8Array; decodeMs: number } | { error: unknown };

const waiting = new Set<number>();
const cancelled = new Set<number>();
let turn: Promise<void> = Promise.resolve();

function send(message: FromInference): void {
  process.send?.(message);
}

/** Never rejects: nobody awaits it before its turn comes. */
async function decode(classifier: Classifier, bytes: Uint8Array): Promise<Decoded> {
  const started = performance.now();
  try {
    return { pixels: await classifier.decode(bytes), decodeMs: performance.now() - started };
  } catch (error) {
    return { error };
  }
}

async function reply(classifier: Classifier, id: number, decoded: Promise<Decoded>): Promise<Reply> {
  const picture = await decoded;
  // Reads the messages that came meanwhile, so that the next pictures are decoded while run() blocks this thread.
  await setImmediate();
  if (cancelled.has(id)) return { type: 'skipped', id };
  if ('error' in picture) return refusal(id, picture.error);
  const started = performance.now();
  try {
    const probabilities = await classifier.infer(picture.pixels);
    return { type: 'answer', id, probabilities, decodeMs: picture.decodeMs, inferenceMs: performance.now() - started };
  } catch (error) {
    return refusal(id, error);
  }
}

function refusal(id: number, error: unknown): Reply {
  if (error instanceof RequestError) return { type: 'refused', id, code: error.code, message: error.message };
  send({ type: 'progress', line: `inference failed: ${error instanceof Error ? error.stack : error}` });
  return { type: 'refused', id, code: 'INFERENCE_FAILED', message: 'the model failed on this picture' };
}

function receive(classifier: Classifier, message: ToInference): void {
  const { id } = message;
  if (message.type === 'cancel') {
    if (waiting.has(id)) cancelled.add(id);
    return;
  }
  waiting.add(id);
  const decoded = decode(classifier, message.bytes);
  turn = turn.then(async () => {
    send(await reply(classifier, id, decoded));
    waiting.delete(id);
    cancelled.delete(id);
  });
}

/**
 * Reports `ready` or `failed` to the process that forked this one, then answers it until that ends.
 * @param open  given a function for progress, one line each
 */
export async function runInferenceLoop(open: (log: (line: string) => void) => Promise<Classifier>): Promise<void> {
  // Signals from a terminal or a supervisor reach the whole group; the server decides when this process ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('disconnect', () => process.exit(0));
  if (!process.connected) process.exit(0); // the server ended while this process was starting
  try {
    const classifier = await open((line) => send({ type: 'progress', line }));
    process.on('message', (message: ToInference) => receive(classifier, message));
    send({ type: 'ready', model: classifier.model, provider: classifier.provider });
  } catch (error) {
    const forPeople = error instanceof UserError;
    send({ type: 'failed', message: forPeople ? error.message : String((error as Error).stack ?? error), forPeople });
  }
}
