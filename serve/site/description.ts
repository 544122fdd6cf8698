/** `site.json`: what a static site knows of its model. */
import type { ImageRecipe } from '../inference/image/image-tensor.js';
import type { Activation } from '../inference/model/activation.js';
import type { ServedModel } from '../served-model.js';

/** A file in pieces that every static host takes, in order. */
export interface Pieces {
  names: string[];
  bytes: number;
  /** Of the whole, to tell it from what caches have. */
  hash: string;
}

export interface SiteDescription {
  model: Pick<ServedModel, 'name' | 'labels' | 'synsets'>;
  recipe: ImageRecipe;
  /** Name of the model's input, and the length of its first axis, −1 if it is free. */
  input: { name: string; rows: number };
  /** Name of the output that classes are read from, and values a row. */
  output: { name: string; width: number };
  activation: Activation;
  file: Pieces;
  /** onnxruntime-web's, for browsers with WebGPU and without. */
  engines: Record<'webgpu' | 'wasm', { script: string; glue: string; binary: Pieces }>;
}
