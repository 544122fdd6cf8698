/** What the page and its worker say to each other. */
import type { Prediction } from '../../served-model.js';

export interface ToWorker {
  id: number;
  image: Blob;
}

export type FromWorker =
  | { type: 'loading'; bytes: number; of: number }
  | { type: 'ready'; name: string; engine: 'WebGPU' | 'WebAssembly' }
  /** The model cannot be loaded. */
  | { type: 'failed'; message: string }
  | { type: 'answer'; id: number; predictions: Prediction[]; ms: number }
  | { type: 'refused'; id: number; message: string };
