/**
 * Copies between the host's memory and the device's. onnxruntime-node leaves outputs on the device and takes them as inputs, but has no
 * call that copies one (`getData()` ends the process): graphs of one `Identity` do, whose input lies here and whose output there.
 */
import { encodeModel } from '../file/proto.js';
import type { ElementType, Value } from '../graph.js';
import { identity, type TensorData } from '../layout.js';
import type { Tensor } from '../onnxruntime.js';
import { NativeGraph } from './binding.js';
import { activeProvider } from './choose-provider.js';

const graphs = new Map<string, NativeGraph>();

/** By type and rank; lengths are free. */
function copier(dtype: ElementType, rank: number, deviceOutputs: readonly string[]): NativeGraph {
  const key = `${dtype}${rank}${deviceOutputs}`;
  let graph = graphs.get(key);
  if (!graph) {
    const value = (name: string): Value => ({ name, dtype, dims: [], shape: [], layout: identity(0) });
    const dims = Array.from({ length: rank }, (_, axis) => `axis${axis}`);
    const model = encodeModel({
      graphName: 'copy',
      opset: 17,
      nodes: [{ op: 'Identity', domain: '', inputs: [value('x')], outputs: [value('y')], attributes: {}, scope: '' }],
      initializers: new Map(),
      inputs: [{ name: 'x', dtype, dims }],
      outputs: [{ name: 'y', dtype, dims }],
    });
    graph = new NativeGraph(model, { provider: activeProvider(), deviceOutputs });
    graphs.set(key, graph);
  }
  return graph;
}

const copied = (x: Tensor, deviceOutputs: readonly string[]): Tensor =>
  copier(x.type as ElementType, x.dims.length, deviceOutputs).run({ x }, { y: null }).y;

/** The values of a tensor on the device. */
export const toHost = (tensor: Tensor): TensorData => copied(tensor, []).data as TensorData;

/** The same tensor on the device; the caller disposes it. */
export const toDevice = (tensor: Tensor): Tensor => copied(tensor, ['y']);
