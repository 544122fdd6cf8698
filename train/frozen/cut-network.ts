/** Where the frozen layers at a network's start end, and what is left to train. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { tfl as layers } from '../../base/tfjs/layers.js';
import { SeededDropout } from '../../model/dropout.js';

/** A network in two parts, which share its weights. */
export interface CutNetwork {
  /** From images to features; its dropout never acts. */
  frozen: tfl.LayersModel;
  /** From features to logits; dropout after the last frozen layer is its first layer. */
  head: tfl.LayersModel;
}

/**
 * The frozen layers from the network's start on, with what follows them and draws nothing: pooling, normalisation.
 * @param frozen  names of frozen layers
 * @returns       none if the first layer with weights is not frozen
 */
function frozenStart(model: tfl.LayersModel, frozen: readonly string[] = []): tfl.layers.Layer[] {
  const isTrained = (layer: tfl.layers.Layer) => layer.weights.length > 0 && !frozen.includes(layer.name);
  const upToTrained = model.layers.slice(0, model.layers.findIndex(isTrained));
  const last = upToTrained.findLastIndex((layer) => layer.weights.length > 0);
  if (last < 0) return [];
  const dropout = upToTrained.findIndex((layer, index) => index > last && layer instanceof SeededDropout);
  return dropout < 0 ? upToTrained : upToTrained.slice(0, dropout);
}

/** Frozen layers compute the same at every use: dropout between them is off, as for a network in use. */
export function silenceFrozenDropout(model: tfl.LayersModel, frozen: readonly string[] | undefined): void {
  const silent = new Set(frozenStart(model, frozen));
  for (const layer of model.layers) if (layer instanceof SeededDropout) layer.silent = silent.has(layer);
}

/** @returns undefined if no layer is frozen at the start; the caller disposes `head`, before or after the network */
export function cutNetwork(model: tfl.LayersModel, frozen: readonly string[] | undefined): CutNetwork | undefined {
  const start = frozenStart(model, frozen);
  if (start.length === 0) return undefined;
  const features = start.at(-1)!.output as tfl.SymbolicTensor;
  const input = layers.input({ shape: features.shape.slice(1), name: 'features' });
  const logits = model.layers
    .slice(start.length)
    .reduce((value, layer) => layer.apply(value) as tfl.SymbolicTensor, input);
  return {
    frozen: layers.model({ inputs: model.inputs, outputs: features }),
    head: layers.model({ inputs: input, outputs: logits }),
  };
}
