/**
 * Our own kernel `CutImages`: a batch of crops out of a set of images that lies on the device, mean subtracted, as
 * base/crops.ts cuts them on the host. Rows and columns are whole numbers, so which pixels it takes is exact.
 */
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import type { Rule } from '../rule.js';
import { point } from './elementwise.js';

/** Places of each crop's pixels within its image, counted from the first one's: int32 [n, inputPx, inputPx]. */
function places(g: Graph, mirrored: Value, { imagePx, inputPx }: Attrs): Value {
  const counted = (shape: number[], step: number, from = 0) =>
    g.constant(
      'int32',
      shape,
      Int32Array.from({ length: inputPx }, (_, i) => from + i * step),
    );
  const turned = point(g, 'Mul', [mirrored, counted([1, 1, inputPx], -2, inputPx - 1)]);
  const columns = point(g, 'Add', [counted([1, 1, inputPx], 1), turned]);
  return point(g, 'Add', [columns, counted([1, inputPx, 1], imagePx)]);
}

/** Red, green and blue out of r + 256 g + 65536 b, exact in float32: [n, 3, …] of int32 [n, …]. */
function unpacked(g: Graph, packed: Value): Value {
  const all = point(g, 'Cast', [packed], 'float32', { to: 'float32' });
  const over = (value: Value, unit: number) => point(g, 'Floor', [point(g, 'Div', [value, g.scalar(unit)])]);
  const rest = (value: Value, part: Value, unit: number) =>
    point(g, 'Sub', [value, point(g, 'Mul', [part, g.scalar(unit)])]);
  const blue = over(all, 65536);
  const both = rest(all, blue, 65536);
  const green = over(both, 256);
  const [n, ...space] = packed.dims;
  const planes = [rest(both, green, 256), green, blue].map((plane) =>
    g.node('Unsqueeze', [plane, g.int64s([1])], {}, [n, 1, ...space]),
  );
  return g.node('Concat', planes, { axis: 1 }, [n, 3, ...space]);
}

function lower(g: Graph, [pixels, mean, starts, offsets, mirrored, shifts]: Value[], attrs: Attrs): Value {
  const [n, { inputPx }] = [starts.shape[0], attrs];
  const column = (value: Value) => g.flat(value, [n, 1, 1]);
  const within = places(g, column(mirrored), attrs);
  const space = [inputPx, inputPx];
  const taken = g.node('Gather', [pixels, point(g, 'Add', [within, column(starts)])], { axis: 0 }, [n, ...space]);
  const means = g.node('Gather', [mean, point(g, 'Add', [within, column(offsets)])], { axis: 1 }, [3, n, ...space]);
  const turned = g.node('Transpose', [means], { perm: [1, 0, 2, 3] }, [n, 3, ...space]);
  const centred = point(g, 'Sub', [unpacked(g, taken), turned]);
  return g.view(point(g, 'Add', [centred, g.flat(shifts, [n, 3, 1, 1])]), NCHW);
}

export const CUT_IMAGES: Record<string, Rule> = {
  /**
   * Inputs: the pixels of all images as r + 256 g + 65536 b, int32; the mean [3, pixels of an image]; of each crop its
   * first pixel in the set and in its image, 1 if it is mirrored, and what is added to its colours [n, 3]. Attributes:
   * imagePx, inputPx.
   */
  CutImages: {
    since: 13,
    inputs: ['pixels', 'mean', 'starts', 'offsets', 'mirrored', 'shifts'],
    outputs: ([, , starts], { inputPx }) => [{ shape: [starts.shape[0], inputPx, inputPx, 3], dtype: 'float32' }],
    lower: (g, inputs, attrs) => [lower(g, inputs, attrs)],
  },
};
