/**
 * What the server and its process for views say to each other. A view is computed in steps, each asked for by the
 * server: it can wait while images are being classified, and stop when nobody looks any more.
 */
import type { ErrorCode } from '../../errors.js';
import type { NetworkOptions } from '../engine/network-options.js';

/** Images are encoded bytes; `crop` is a position in the model's list of crops, default the centre. */
export type ViewRequest =
  | { view: 'layers' | 'graph' | 'metadata' }
  | { view: 'picture'; bytes: Uint8Array; crop?: number }
  | { view: 'activations'; bytes: Uint8Array; crop?: number; layers?: string[] }
  | { view: 'lrn'; bytes: Uint8Array; crop?: number; layer: string; channel?: number; y?: number; x?: number }
  | { view: 'kernels'; layer?: string; format: 'png' | 'svg' | 'safetensors' }
  | { view: 'occlusion'; bytes: Uint8Array; crop?: number; class?: number; patch?: number; stride?: number }
  | { view: 'neighbours'; bytes: Uint8Array; k: number }
  | { view: 'strongest'; layer: string; channel: number };

/** JSON, or bytes of a content type with JSON about them. */
export type ViewPart = { json: object } | { type: string; bytes: Uint8Array; about?: object };

/** The first message to the process. */
export interface ViewOptions extends NetworkOptions {
  /** Of the files as those that classify read them; undefined if nobody does. See file-signature.ts. */
  signatures?: string[];
  /** Path of an index made by `alexnet index`. */
  index?: string;
}

export type ToViewer =
  /** Becomes the view that `step` continues. */
  { type: 'view'; id: number; request: ViewRequest } | { type: 'step'; id: number } | { type: 'cancel'; id: number };

export type FromViewer =
  /** Of a step; `done`: there was no more. */
  | { type: 'part'; id: number; part?: ViewPart; done: boolean }
  | { type: 'refused'; id: number; code: ErrorCode; message: string }
  /** For people who read the log. */
  | { type: 'fault'; line: string };
