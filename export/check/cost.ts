/** How much there is to compute, from the shapes that a file states. */
import type { ModelParts } from '../../onnx/file/proto.js';

/** Multiplications of convolutions and matrix products, with these lengths in place of the free ones. */
export function multiplications(parts: ModelParts, lengthOf: (name: string) => number): number {
  const { nodes, initializers } = parts;
  const stated = [...parts.inputs, ...parts.outputs, ...(parts.valueInfo ?? [])];
  const shapes = new Map(stated.map(({ name, dims }) => [name, dims.map((length) => lengthAt(length, lengthOf))]));
  const dims = (name: string) => initializers.get(name)?.dims ?? shapes.get(name) ?? [];
  const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
  return nodes.reduce((sum, { op, inputs, outputs, attributes }) => {
    const [x, weights] = inputs.slice(0, 2).map((value) => (value ? dims(value.name) : []));
    const result = dims(outputs[0].name);
    if (op === 'Conv') return sum + size(result) * size(weights.slice(1));
    if (op === 'ConvTranspose') return sum + size(x) * size(weights.slice(1));
    if (op === 'MatMul') return sum + size(result) * (x.at(-1) ?? 1);
    if (op === 'Gemm') return sum + size(result) * (attributes.transA === 1 ? x[0] : x[1]);
    return sum;
  }, 0);
}

/** `2*N+1` where N has a length. */
function lengthAt(text: number | string, lengthOf: (name: string) => number): number {
  if (typeof text === 'number') return text;
  const terms = text.split(/(?=[+-])/);
  return terms.reduce((sum, term) => {
    const factors = term.replace('+', '').split('*');
    return (
      sum + factors.reduce((product, factor) => product * (/^-?\d/.test(factor) ? Number(factor) : lengthOf(factor)), 1)
    );
  }, 0);
}
