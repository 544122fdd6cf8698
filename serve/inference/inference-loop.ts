/**
 * What the inference process does from its start to its end: opens a classifier, then answers message after message.
 */
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { UserError } from '../../base/errors.js';
import { explainTooManyFiles } from '../../base/few-open-files.js';
import { isOutOfMemory, withMemory } from '../../base/out-of-memory.js';
import { RequestError } from '../errors.js';
import type { Classifier } from './classifier.js';
import type { FromInference, Reply, ToInference, Work } from './messages.js';

type Decoded = { pixels: Uint8Array; decodeMs: number } | { error: unknown };
type Job = { id: number; cancelled: boolean } & (
  | { type: 'classify'; byCrop: boolean; decoded: Promise<Decoded> }
  | Extract<Work, { type: 'infer' }>
);

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

function refusal(id: number, error: unknown): Reply {
  if (error instanceof RequestError) return { type: 'refused', id, code: error.code, message: error.message };
  if (isOutOfMemory(error)) {
    send({ type: 'fault', line: `inference failed: ${withMemory(error).message}` });
    return { type: 'refused', id, code: 'INFERENCE_FAILED', message: 'out of memory on this input' };
  }
  send({ type: 'fault', line: `inference failed: ${error instanceof Error ? error.stack : error}` });
  return { type: 'refused', id, code: 'INFERENCE_FAILED', message: 'the model failed on this input' };
}

/** Answers jobs in the order they come in; images that wait together share a run of the model, up to its batch. */
class JobQueue {
  private readonly jobs: Job[] = [];
  private isBusy = false;

  constructor(
    private readonly classifier: Classifier,
    private readonly batchDelayMs: number,
  ) {}

  receive(message: ToInference): void {
    const { id } = message;
    if (message.type === 'cancel') {
      const job = this.jobs.find((waiting) => waiting.id === id);
      if (job) job.cancelled = true;
      return;
    }
    if (message.type === 'infer') this.jobs.push({ ...message, cancelled: false });
    else {
      const { bytes, byCrop = false } = message;
      this.jobs.push({ type: 'classify', id, byCrop, cancelled: false, decoded: decode(this.classifier, bytes) });
    }
    if (!this.isBusy) void this.work();
  }

  private async work(): Promise<void> {
    this.isBusy = true;
    while (this.jobs.length > 0) {
      const first = this.jobs[0];
      if (first.type === 'classify') await first.decoded;
      // Reads the messages that came meanwhile, so that the next images are decoded while the model blocks this thread.
      await setImmediate();
      for (const reply of await this.answer(await this.batch())) send(reply);
    }
    this.isBusy = false;
  }

  /** The first job, or the images at the front that share a run. */
  private async batch(): Promise<Job[]> {
    const { batch } = this.classifier;
    if (batch > 1 && this.batchDelayMs > 0 && this.jobs.length < batch) await delay(this.batchDelayMs);
    const other = this.jobs.findIndex((job) => job.type !== 'classify' || job.byCrop);
    return this.jobs.splice(0, Math.max(1, Math.min(batch, other < 0 ? this.jobs.length : other)));
  }

  private async answer(jobs: Job[]): Promise<Reply[]> {
    const replies = new Map<number, Reply>();
    const images: { id: number; pixels: Uint8Array; decodeMs: number }[] = [];
    for (const job of jobs) {
      const decoded = job.type === 'classify' ? await job.decoded : undefined;
      if (job.cancelled) replies.set(job.id, { type: 'skipped', id: job.id });
      else if (job.type === 'infer') replies.set(job.id, await this.run(job));
      else if (decoded && 'error' in decoded) replies.set(job.id, refusal(job.id, decoded.error));
      else if (decoded && job.byCrop) replies.set(job.id, await this.classifyByCrop(job.id, decoded));
      else if (decoded) images.push({ id: job.id, ...decoded });
    }
    for (const reply of await this.classify(images)) replies.set(reply.id, reply);
    return jobs.map(({ id }) => replies.get(id)!);
  }

  private async classify(images: { id: number; pixels: Uint8Array; decodeMs: number }[]): Promise<Reply[]> {
    if (images.length === 0) return [];
    const started = performance.now();
    try {
      const all = await this.classifier.infer(images.map(({ pixels }) => pixels));
      const inferenceMs = performance.now() - started;
      return images.map(({ id, decodeMs }, i) => {
        const run = { inferenceMs, runs: i === 0 ? 1 : 0, batch: images.length };
        return { type: 'answer', id, probabilities: all[i], decodeMs, ...run };
      });
    } catch (error) {
      if (images.length === 1) return [refusal(images[0].id, error)];
      // One of them may have spoilt it for the others.
      const singly: Reply[] = [];
      for (const image of images) singly.push(...(await this.classify([image])));
      return singly;
    }
  }

  private async classifyByCrop(id: number, { pixels, decodeMs }: { pixels: Uint8Array; decodeMs: number }) {
    const started = performance.now();
    try {
      const answer = await this.classifier.inferByCrop(pixels);
      return {
        type: 'answer',
        id,
        ...answer,
        decodeMs,
        inferenceMs: performance.now() - started,
        runs: 1,
        batch: 1,
      } satisfies Reply;
    } catch (error) {
      return refusal(id, error);
    }
  }

  private async run({ id, input, outputs }: Extract<Job, { type: 'infer' }>): Promise<Reply> {
    const started = performance.now();
    try {
      const tensors = await this.classifier.run(input, outputs);
      const inferenceMs = performance.now() - started;
      return { type: 'tensors', id, outputs: tensors, decodeMs: 0, inferenceMs, runs: 1, batch: 1 };
    } catch (error) {
      return refusal(id, error);
    }
  }
}

/**
 * Reports `ready` or `failed` to the process that forked this one, then answers it until that ends.
 * @param open  given a function for progress, one line each
 */
export async function runInferenceLoop(
  open: (log: (line: string) => void) => Promise<Classifier>,
  batchDelayMs = 0,
): Promise<void> {
  try {
    const classifier = await open((line) => send({ type: 'progress', line }));
    const line = new JobQueue(classifier, batchDelayMs);
    process.on('message', (message: ToInference) => line.receive(message));
    const { model, provider, batch, remembered, signatures } = classifier;
    const residentBytes = process.memoryUsage.rss();
    send({ type: 'ready', model, provider, batch, remembered, signatures, residentBytes });
  } catch (thrown) {
    const error = withMemory(explainTooManyFiles(thrown));
    const forPeople = error instanceof UserError;
    send({ type: 'failed', message: forPeople ? error.message : String((error as Error).stack ?? error), forPeople });
  }
}
