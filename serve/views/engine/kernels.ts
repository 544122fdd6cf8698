/**
 * The kernels of the convolution that reads colours, as in Figure 3 of the paper: those that feed each group of the
 * next convolution apart.
 */
import { int } from '../../../onnx/file/onnx-graph.js';
import { RequestError } from '../../errors.js';
import type { CropNetwork } from './crop-network.js';
import { findLayer } from './find-layer.js';
import type { Layer } from './layers.js';
import type { Values } from './run-rows.js';

export interface KernelsView {
  layer: string;
  /** Of the next grouped convolution: the paper's two GPUs. */
  groups: number;
  /** [count, 3, height, width], R, G, B. */
  kernels: Values;
}

/** Whether a layer's kernels can be seen as colours. */
export function readsColours({ graph }: CropNetwork, { main }: Layer): boolean {
  return main?.opType === 'Conv' && graph.storedDims(main.input?.[1])?.[1] === 3;
}

/**
 * @param name  undefined for the first layer that reads colours
 * @throws {RequestError} BAD_REQUEST, VIEW_UNAVAILABLE
 */
export async function kernelsOf(network: CropNetwork, name?: string): Promise<KernelsView> {
  const { graph, layers, file } = network;
  const fits = (layer: Layer) => readsColours(network, layer);
  const layer = name === undefined ? layers.find(fits) : findLayer(network, name, fits);
  const weights = layer?.main?.input?.[1];
  if (!layer || !weights)
    throw new RequestError('VIEW_UNAVAILABLE', 'no convolution of this model reads the three colours');
  const [count, , height, width] = graph.storedDims(weights)!;
  const data = await network.stored(weights);
  const ordered = file.recipe.channels === 'BGR' ? reversed(data, height * width) : data;
  const later = layers.slice(layers.indexOf(layer) + 1).find(({ main }) => main?.opType === 'Conv');
  const groups = later?.main ? int(later.main, 'group', 1) : 1;
  return {
    layer: layer.name,
    groups: count % groups === 0 ? groups : 1,
    kernels: { shape: [count, 3, height, width], data: ordered },
  };
}

/** B, G, R → R, G, B */
function reversed(data: Float32Array, plane: number): Float32Array {
  return data.map((_, i) => {
    const channel = Math.floor(i / plane) % 3;
    return data[i + (2 - 2 * channel) * plane];
  });
}
