/** Runs as a thread of the server: reads and writes large JSON, while the server answers others. */
import { parentPort } from 'node:worker_threads';
import { RequestError } from '../../errors.js';
import { requireFewValues } from './few-values.js';
import { type FromThread, runTask, type TaskArgs, type ToThread } from './tasks.js';

parentPort?.on('message', (message: ToThread) => {
  const reply = answer(message);
  parentPort?.postMessage(reply, [...largeBuffers(reply)]);
});

function answer({ task, args, jsonBytes, maxValueBytes }: ToThread): FromThread {
  try {
    const [body, ...rest] = args;
    if (!(body instanceof Uint8Array)) return { result: runTask(task, args as TaskArgs<typeof task>) };
    requireFewValues(body.subarray(0, jsonBytes), maxValueBytes);
    // A Buffer arrives as a plain array of bytes.
    const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
    return { result: runTask(task, [buffer, ...rest] as TaskArgs<typeof task>) };
  } catch (error) {
    if (error instanceof RequestError) return { refused: { code: error.code, message: error.message } };
    return { fault: String((error as Error).stack ?? error) };
  }
}

/** Those that are handed over rather than copied; small ones may be parts of Node's pool. */
function largeBuffers(value: unknown, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  if (value instanceof Uint8Array) {
    if (value.buffer.byteLength > Buffer.poolSize) found.add(value.buffer as ArrayBuffer);
  } else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) largeBuffers(part, found);
  }
  return found;
}
