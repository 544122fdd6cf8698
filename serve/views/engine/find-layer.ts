/** Layers, crops, channels and classes as requests name them, each answered with what there is if it is wrong. */
import { RequestError } from '../../errors.js';
import type { CropNetwork } from './crop-network.js';
import type { Layer } from './layers.js';

/** @throws {RequestError} BAD_REQUEST */
export function findLayer(
  { layers }: CropNetwork,
  name: string,
  accepts: (layer: Layer) => boolean = () => true,
): Layer {
  const fitting = layers.filter(accepts);
  const found = fitting.find((layer) => layer.name === name);
  if (found) return found;
  const names = fitting.map((layer) => layer.name).join(', ') || 'none';
  throw new RequestError('BAD_REQUEST', `layer: expected one of ${names}, got ${JSON.stringify(name.slice(0, 100))}`);
}

/** Position in a list of `length`; `standard` if nothing is asked for. @throws {RequestError} BAD_REQUEST */
export function position(what: string, value: number | undefined, length: number, standard: number): number {
  if (value === undefined) return standard;
  if (value < length) return value;
  throw new RequestError('BAD_REQUEST', `${what}: expected a whole number from 0 to ${length - 1}, got ${value}`);
}
