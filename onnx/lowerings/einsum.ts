/**
 * Einstein summation: tfjs and ONNX write it alike. tfjs's own limits (at most two tensors, no axis twice in one) hold
 * at the call.
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import { backend_util } from '../../base/tfjs/core.js';
import type { TensorSpec } from '../kernel-call.js';
import type { Rule } from '../rule.js';

/** Throws if the equation or the shapes are wrong. tfjs numbers the result's axes first. */
function resultShape(inputs: readonly TensorSpec[], equation: string): number[] {
  const { allDims, idDims } = backend_util.decodeEinsumEquation(equation, inputs.length);
  backend_util.checkEinsumDimSizes(allDims.length, idDims, inputs as unknown as Tensor[]);
  const lengths: number[] = [];
  idDims.forEach((dims, which) => {
    dims.forEach((dim, axis) => {
      lengths[dim] = inputs[which].shape[axis];
    });
  });
  return lengths.slice(0, equation.replace(/\s/g, '').split('->')[1].length);
}

export const EINSUM: Record<string, Rule> = {
  Einsum: {
    since: 12,
    inputs: '*',
    refuses: ([first, ...rest]) => {
      if (first.dtype === 'bool') return 'dtype bool';
      return rest.every(({ dtype }) => dtype === first.dtype) ? undefined : 'mixed dtypes';
    },
    outputs: (inputs, { equation }) => [{ shape: resultShape(inputs, equation), dtype: inputs[0].dtype }],
    lower: (g, inputs, { equation }) => {
      const plain = inputs.map((x) => g.memory(g.plain(x)));
      return [
        g.node(
          'Einsum',
          plain,
          { equation: equation.replace(/\s/g, '') },
          resultShape(inputs as TensorSpec[], equation),
        ),
      ];
    },
  },
};
