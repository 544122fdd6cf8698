/** How the first convolution of a graph reads its input, where the graph's own shape leaves the axes free. */
import { attribute } from './onnx-graph.js';

type GraphProto = import('onnx-proto').onnx.IGraphProto;

export interface FirstReader {
  layout: 'NCHW' | 'NHWC';
  channels: number;
}

/** They keep the axes of their first input. */
const KEEPS = new Set(['Cast', 'Identity', 'Add', 'Sub', 'Mul', 'Div', 'Clip', 'Pad', 'QuantizeLinear']);
for (const op of ['DequantizeLinear', 'DynamicQuantizeLinear', 'BatchNormalization']) KEEPS.add(op);

/** Place of a convolution's kernel among its inputs. */
const KERNEL: Record<string, number> = { Conv: 1, ConvInteger: 1, FusedConv: 1, QLinearConv: 3 };

const TO_CHANNELS_FIRST = '0,3,1,2';

/** @returns undefined where no convolution reads the input, or values made from it one by one */
export function firstReader(graph: GraphProto, input: string): FirstReader | undefined {
  const layouts = new Map<string, FirstReader['layout']>([[input, 'NCHW']]);
  for (const node of graph.node ?? []) {
    const layout = layouts.get(node.input?.[0] ?? '');
    const [output = ''] = node.output ?? [];
    const op = node.opType ?? '';
    if (!layout) continue;
    if (op in KERNEL) {
      const dims = kernelDims(graph, node.input?.[KERNEL[op]]); // [M, C / group, kH, kW]
      if (dims?.length !== 4) return undefined;
      return { layout, channels: dims[1] * Number(attribute(node, 'group')?.i ?? 1) };
    }
    if (KEEPS.has(op)) layouts.set(output, layout);
    else if (op === 'Transpose' && attribute(node, 'perm')?.ints?.map(Number).join() === TO_CHANNELS_FIRST) {
      layouts.set(output, 'NHWC');
    }
  }
  return undefined;
}

/** Of a stored kernel, or of codes of one. */
function kernelDims(graph: GraphProto, name: string | undefined): number[] | undefined {
  const codes = graph.node?.find(({ opType, output }) => opType === 'DequantizeLinear' && output?.[0] === name);
  const stored = codes?.input?.[0] ?? name;
  return graph.initializer?.find((tensor) => tensor.name === stored)?.dims?.map(Number);
}
