/** What is done with JSON that may be large: by the server's own thread if there is little of it, else off it. */
import { imageOfJson } from '../hugging-face/request.js';
import { parseInfer } from '../open-inference/request.js';
import { inferAnswer } from '../open-inference/response.js';
import { imagesOfJson } from '../own/batch-body.js';

const TASKS = { picture: imageOfJson, infer: parseInfer, answer: inferAnswer, batch: imagesOfJson };

export type Tasks = typeof TASKS;
export type TaskArgs<K extends keyof Tasks> = Parameters<Tasks[K]>;
export type TaskResult<K extends keyof Tasks> = ReturnType<Tasks[K]>;

export function runTask<K extends keyof Tasks>(task: K, args: TaskArgs<K>): TaskResult<K> {
  return (TASKS[task] as (...args: unknown[]) => unknown)(...args) as TaskResult<K>;
}

export interface ToThread {
  task: keyof Tasks;
  /** Those that read have the body first. */
  args: unknown[];
  /** Of the JSON at the front of the body. */
  jsonBytes: number;
  /** See `requireFewValues`. */
  maxValueBytes: number;
}

export type FromThread = { result: unknown } | { refused: { code: string; message: string } } | { fault: string };
