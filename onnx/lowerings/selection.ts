/**
 * What tfjs gives as many results as the data say, as kernels of our own: `SelectBoxes` is non-maximum suppression,
 * `SelectTrue` the places where a condition holds. They exist while a program is traced, with a length in their
 * attributes that the trace chose; `g.selected` says where the file finds the length.
 */
import type { Graph, Value } from '../graph.js';
import { type Rule, refusesAllButFloat } from '../rule.js';

/** Remembers a result whose first axis is as long as the data say. */
function selected(g: Graph, value: Value, index: number): Value {
  g.selected.set(index, { value, axis: 0 });
  return value;
}

export const SELECTION: Record<string, Rule> = {
  /** boxes [n, 4] as y1, x1, y2, x2 and scores [n] → positions of those kept, best first */
  SelectBoxes: {
    since: 11,
    inputs: ['boxes', 'scores'],
    refuses: refusesAllButFloat,
    outputs: (_inputs, { length }) => [{ shape: [length], dtype: 'int32' }],
    lower: (g, [boxes, scores], { index, length, maxOutputSize, iouThreshold, scoreThreshold }) => {
      const [n] = boxes.shape;
      const found = g.node(
        'NonMaxSuppression',
        [
          g.flat(boxes, [1, n, 4]),
          g.flat(scores, [1, 1, n]),
          g.int64s([maxOutputSize]),
          g.constant('float32', [1], [iouThreshold]),
          scoreThreshold === null ? undefined : g.constant('float32', [1], [scoreThreshold]),
        ],
        {},
        [length, 3], // image, class, box
        'int64',
      );
      const places = g.node('Gather', [found, g.scalar(2, 'int64')], { axis: 1 }, [length], 'int64');
      return [selected(g, g.node('Cast', [places], { to: 'int32' }, [length], 'int32'), index)];
    },
  },

  /** condition → [places, rank], in order */
  SelectTrue: {
    since: 13,
    inputs: ['condition'],
    outputs: ([condition], { length }) => [{ shape: [length, condition.shape.length], dtype: 'int32' }],
    lower: (g, [condition], { index, length }) => {
      const rank = condition.shape.length;
      const found = g.node('NonZero', [g.memory(g.plain(condition))], {}, [rank, length], 'int64');
      const places = g.node('Transpose', [found], { perm: [1, 0] }, [length, rank], 'int64');
      return [selected(g, g.node('Cast', [places], { to: 'int32' }, [length, rank], 'int32'), index)];
    },
  },
};
