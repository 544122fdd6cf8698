/**
 * What the server and its inference process say to each other. Encoded pictures travel, not pixels: the 6 MB tensor of ten crops costs
 * 447 ms per message, a photograph next to nothing. Each `classify` is answered by exactly one `answer`, `refused` or `skipped`, in order.
 */
import type { ErrorCode } from '../errors.js';
import type { ServedModel } from '../served-model.js';
import type { Provider, ProviderChoice } from './provider.js';

/** Given to the process as JSON in its first argument. */
export interface InferenceOptions {
  file: string;
  provider: ProviderChoice;
  maxPixels: number;
}

export type ToInference =
  | { type: 'classify'; id: number; bytes: Uint8Array }
  /** Nobody waits for it any more: skip it unless its inference has begun. */
  | { type: 'cancel'; id: number };

export type Reply =
  | { type: 'answer'; id: number; probabilities: Float32Array; decodeMs: number; inferenceMs: number }
  | { type: 'refused'; id: number; code: ErrorCode; message: string }
  | { type: 'skipped'; id: number };

export type FromInference =
  | { type: 'progress'; line: string }
  | { type: 'ready'; model: ServedModel; provider: Provider }
  /** The model cannot be loaded. `forPeople`: the message says all; else it is a stack. */
  | { type: 'failed'; message: string; forPeople: boolean }
  | Reply;
