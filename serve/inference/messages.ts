/**
 * What the server and its inference process say to each other. Encoded images travel, not pixels: the 6 MB tensor of
 * ten crops costs 447 ms per message, a photograph next to nothing. Each `classify` and `infer` is answered by exactly
 * one reply, in order.
 */

import type { Provider, ProviderChoice } from '../../onnx/backend/provider.js';
import type { ErrorCode } from '../errors.js';
import type { ServedModel } from '../served-model.js';
import type { Tensor } from '../tensors.js';
import type { Activation } from './model/activation.js';

/** The first message to the process. */
export interface InferenceOptions {
  /** Path of the `.onnx` file. */
  file: string;
  /** Folders in which the files of the model may lie, as real paths; undefined for its own. */
  roots?: readonly string[];
  /** Name to serve it under; undefined for the file's own. */
  name?: string;
  version: string;
  provider: ProviderChoice;
  /** Width × height above which an image is refused. */
  maxPixels: number;
  /** Threads of the CPU provider; undefined for one per core. */
  threads?: number;
  /** Images that may share a run of the model; undefined for the provider's default. */
  batch?: number;
  /** How long an image may wait for others to share its run, milliseconds. */
  batchDelayMs: number;
  /** Of an earlier process. */
  remembered?: Remembered;
}

/** What trial images decided, so that a restart need not try them again. */
export interface Remembered {
  /** What it holds for: the files, and all that was known of the model. Equal only if its answers are. */
  of: string;
  activation: Activation;
}

/** What is asked of the model. */
export type Work =
  /** An encoded image; `byCrop`: the probabilities of its crops as well. */
  | { type: 'classify'; bytes: Uint8Array; byCrop?: boolean }
  /** A tensor as the model takes it, and the names of the outputs wanted. */
  | { type: 'infer'; input: Tensor; outputs: string[] };

export type ToInference =
  | (Work & { id: number })
  /** No client waits for it any more: skip it unless its inference has begun. */
  | { type: 'cancel'; id: number };

/** What came of it. Of the `batch` images that shared a run, the first has `runs` 1, the others 0. */
export type Answer = { id: number; decodeMs: number; inferenceMs: number; runs: number; batch: number } & (
  | { type: 'answer'; probabilities: Float32Array; byCrop?: Float32Array }
  | { type: 'tensors'; outputs: Tensor[] }
);

export type Reply =
  | Answer
  | { type: 'refused'; id: number; code: ErrorCode; message: string }
  | { type: 'skipped'; id: number };

export interface Loaded {
  model: ServedModel;
  provider: Provider;
  /** Images that may share a run. */
  batch: number;
  /** Memory that the process takes, bytes. */
  residentBytes: number;
  remembered?: Remembered;
  /** Of the model's files as they were read, see file-signature.ts. */
  signatures: string[];
}

export type FromInference =
  | { type: 'progress'; line: string }
  /** A fault of our own, to be logged. */
  | { type: 'fault'; line: string }
  | ({ type: 'ready' } & Loaded)
  /** The model cannot be loaded. `forPeople`: the message says all; else it is a stack. */
  | { type: 'failed'; message: string; forPeople: boolean }
  | Reply;
