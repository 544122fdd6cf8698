/** Graph models whose data or loops decide what is computed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exportOnnx, type OnnxModel } from '../../export/index.js';
import {
  BOOL,
  checkOn,
  counts,
  type Fed,
  frameLoop,
  graphFunction,
  graphModel,
  INT,
  KEEP,
  node,
  placeholder,
  runFile,
} from './graphs.js';

/** What a model with the input x [?, 3] makes of one row. */
async function resultOf(model: OnnxModel, row: number[]): Promise<number[]> {
  const [{ data }] = await runFile(model, { x: [row, [1, row.length]] });
  return data;
}

/** x [?, 3], and whether its sum is above 0. */
const question = [
  placeholder('x', -1, 3),
  node('sum', 'Sum', ['x', 'axes'], { ...KEEP, Tidx: INT }),
  node('positive', 'Greater', ['sum', 'zero']),
];
const answers = { axes: [0, 1], zero: Float32Array.of(0), two: Float32Array.of(2) };

/** Four boxes, the second nearly the first; the last has a low score. */
const BOXES = [0, 0, 1, 1, 0, 0, 1, 0.9, 0, 2, 1, 3, 5, 5, 6, 6];
const selection = {
  most: 10,
  overlap: Float32Array.of(0.5),
  least: Float32Array.of(0.2),
  soft: Float32Array.of(0),
  axis: 0,
};
const boxes = [placeholder('boxes', 12, 4), placeholder('scores', 12)];
const padded = (values: number[], length: number) => [...values, ...new Array(length - values.length).fill(-1)];
const fed: Record<string, [number[], number[]]> = {
  boxes: [padded(BOXES, 48), [12, 4]],
  scores: [padded([0.5, 0.9, 0.6, 0.1], 12), [12]],
};

describe('control flow of a graph model', () => {
  it('selects between the branches of a condition that depends on data', async () => {
    const model = graphModel(
      [
        ...question,
        node('switch', 'Switch', ['x', 'positive']),
        node('no', 'Neg', ['switch']),
        node('yes', 'Mul', ['switch:1', 'two']),
        node('merge', 'Merge', ['no', 'yes'], { N: { i: '2' } }),
        node('result', 'Identity', ['merge']),
      ],
      answers,
    );
    const exported = await exportOnnx(model);
    assert.deepEqual(exported.parts.outputs[0].dims, ['N', 3]);
    assert.deepEqual(await resultOf(exported, [1, 2, -1]), [2, 4, -2]);
    assert.deepEqual(await resultOf(exported, [1, -2, -1]), [-1, 2, 1]);
  });

  it('selects between functions as well', async () => {
    const branch = (name: string, op: string) => graphFunction(name, ['a'], { b: 'c:y:0' }, [node('c', op, ['a'])]);
    const choice = node('choice', 'StatelessIf', ['positive', 'x'], {
      Tcond: { type: 'DT_BOOL' },
      Tin: { list: { type: ['DT_FLOAT'] } },
      Tout: { list: { type: ['DT_FLOAT'] } },
      then_branch: { func: { name: 'square' } },
      else_branch: { func: { name: 'negative' } },
    });
    const functions = [branch('square', 'Square'), branch('negative', 'Neg')];
    const exported = await exportOnnx(
      graphModel([...question, choice, node('result', 'Identity', ['choice'])], answers, functions),
    );
    assert.deepEqual(await resultOf(exported, [1, 2, -1]), [1, 4, 1]);
    assert.deepEqual(await resultOf(exported, [1, -2, -1]), [-1, 2, 1]);
  });

  it('unrolls a loop of a fixed number of steps', async () => {
    const exported = await exportOnnx(graphModel(frameLoop('three'), counts));
    assert.deepEqual(exported.operators, { Mul: 3 });
    assert.deepEqual(await resultOf(exported, [1, 2, -1]), [8, 16, -8]);
  });

  it('unrolls a list that a loop fills', async () => {
    const frame = { frame_name: { s: 'bG9vcA==' }, is_constant: { b: false } };
    const list = { T: { type: 'DT_VARIANT' } };
    const element = { element_dtype: { type: 'DT_FLOAT' }, shape_type: INT };
    const nodes = [
      ...frameLoop('three'),
      node('list', 'TensorListReserve', ['shape', 'three'], element),
      node('list/enter', 'Enter', ['list'], { ...list, ...frame }),
      node('list/merge', 'Merge', ['list/enter', 'list/next'], { ...list, N: { i: '2' } }),
      node('list/switch', 'Switch', ['list/merge', 'again'], list),
      node('list/set', 'TensorListSetItem', ['list/switch:1', 'i/switch:1', 'y/double'], element),
      node('list/next', 'NextIteration', ['list/set'], list),
      node('list/exit', 'Exit', ['list/switch'], list),
      node('stacked', 'TensorListStack', ['list/exit', 'shape'], { ...element, num_elements: { i: '3' } }),
    ].filter(({ name }) => name !== 'y' && name !== 'result');
    const exported = await exportOnnx(graphModel(nodes, { ...counts, shape: [2, 3] }), { batch: 2 });
    const [{ dims, data }] = await runFile(exported, {
      x: [
        [1, 2, 3, 4, 5, 6],
        [2, 3],
      ],
    });
    assert.deepEqual(dims, [3, 2, 3]);
    assert.deepEqual(
      data,
      [2, 4, 8].flatMap((times) => [1, 2, 3, 4, 5, 6].map((value) => value * times)),
    );
  });
});

describe('what data select', () => {
  it('is as long as the data say: boxes that overlap less than a threshold', async () => {
    for (const version of ['V3', 'V5']) {
      const name = `NonMaxSuppression${version}`;
      const inputs = ['boxes', 'scores', 'most', 'overlap', 'least', ...(version === 'V5' ? ['soft'] : [])];
      const nodes = [
        ...boxes,
        node('kept', name, inputs),
        node('result', 'GatherV2', ['boxes', 'kept', 'axis'], {
          Taxis: INT,
          Tindices: INT,
          Tparams: { type: 'DT_FLOAT' },
        }),
      ];
      const exported = await exportOnnx(graphModel(nodes, selection));
      assert.deepEqual(exported.parts.outputs[0].dims, ['selected', 4]);
      const [{ dims, data }] = await runFile(exported, fed);
      assert.deepEqual(dims, [2, 4]);
      assert.deepEqual(
        data.map((value) => Math.round(value * 10) / 10),
        [...BOXES.slice(4, 8), ...BOXES.slice(8, 12)],
      );
      const none = await runFile(exported, { ...fed, scores: [new Array(12).fill(0), [12]] });
      assert.deepEqual(none[0].dims, [0, 4]);
    }
  });

  it('is right for boxes that lie transposed in memory', async () => {
    const nodes = [
      placeholder('cells', 1, 4, 12),
      placeholder('scores', 12),
      node('turned', 'Transpose', ['cells', 'order'], { Tperm: INT }),
      node('boxes', 'Squeeze', ['turned'], { squeeze_dims: { list: { i: ['0'] } } }),
      node('kept', 'NonMaxSuppressionV3', ['boxes', 'scores', 'most', 'overlap', 'least']),
    ];
    const exported = await exportOnnx(graphModel(nodes, { ...selection, order: [0, 2, 1] }));
    const rows = fed.boxes[0];
    const cells = Array.from({ length: 48 }, (_, i) => rows[4 * (i % 12) + Math.floor(i / 12)]);
    const [{ data }] = await runFile(exported, { scores: fed.scores, cells: [cells, [1, 4, 12]] });
    assert.deepEqual(data, [1, 2]);
  });

  it('is where a condition holds', async () => {
    const nodes = [
      placeholder('x', -1, 3),
      node('above', 'Greater', ['x', 'zero']),
      node('places', 'Where', ['above'], BOOL),
      node('result', 'GatherNd', ['x', 'places'], { Tindices: INT, Tparams: { type: 'DT_FLOAT' } }),
    ];
    const exported = await exportOnnx(graphModel(nodes, answers));
    const [{ dims, data }] = await runFile(exported, {
      x: [
        [1, -2, 3, -4, 5, 6],
        [2, 3],
      ],
    });
    assert.deepEqual([dims, data], [[4], [1, 3, 5, 6]]);
  });

  it('is refused, by its node, where its length is cut off or its scores are softened', async () => {
    const soft = graphModel(
      [...boxes, node('kept', 'NonMaxSuppressionV5', ['boxes', 'scores', 'most', 'overlap', 'least', 'soft'])],
      { ...selection, soft: Float32Array.of(0.5) },
    );
    await assert.rejects(exportOnnx(soft), {
      name: 'UserError',
      message: /^kept: non-maximum suppression with soft scores/,
    });
    const padding = [
      ...boxes,
      node('kept', 'NonMaxSuppressionV3', ['boxes', 'scores', 'most', 'overlap', 'least']),
      node('length', 'Shape', ['kept'], { T: INT, out_type: INT }),
      node('few', 'Minimum', ['length', 'limit'], { T: INT }),
      node('result', 'Slice', ['kept', 'begin', 'few'], { T: INT, Index: INT }),
    ];
    await assert.rejects(exportOnnx(graphModel(padding, { ...selection, limit: [8], begin: [0] })), {
      name: 'UserError',
      message: /how many kept selects/,
    });
  });
});

describe('a slice', () => {
  /** From the place of the largest value of any row, the fifth column at most. */
  const start = [
    placeholder('x', -1, 6),
    node('places', 'ArgMax', ['x', 'one'], { output_type: INT, Tidx: INT }),
    node('first', 'Min', ['places', 'rows'], { T: INT, Tidx: INT }),
    node('column', 'Minimum', ['first', 'most'], { T: INT }),
    node('starts', 'Pack', ['zero', 'column'], { T: INT, N: { i: '2' } }),
  ];
  const constants = { zero: 0, one: 1, most: 4, rows: [0] };
  const fed: Fed[] = [
    {
      x: [
        [1, 2, 3, 4, 5, 6, 0, 0, 9, 0, 0, 0],
        [2, 6],
      ],
    },
    {
      x: [
        [7, 2, 3, 4, 5, 6],
        [1, 6],
      ],
    },
    {
      x: [
        [1, 2, 3, 4, 5, 6],
        [1, 6],
      ],
    },
  ];

  it('may begin where the data say, without control flow too', async () => {
    for (const [size, expected] of [
      [
        [1, 2],
        [
          [3, 4],
          [7, 2],
          [5, 6],
        ],
      ],
      [
        [-1, 2],
        [
          [3, 4, 9, 0],
          [7, 2],
          [5, 6],
        ],
      ],
    ] as const) {
      const sliced = [...start, node('result', 'Slice', ['x', 'starts', 'size'], { Index: INT })];
      const source = graphModel(sliced, { ...constants, size: [...size] });
      assert.deepEqual(await checkOn(source, await exportOnnx(source), fed), expected);
    }
    const masks = { begin_mask: { i: '1' }, end_mask: { i: '1' }, shrink_axis_mask: { i: '2' } };
    const source = graphModel(
      [
        ...start,
        node('next', 'Add', ['column', 'one'], { T: INT }),
        node('ends', 'Pack', ['zero', 'next'], { T: INT, N: { i: '2' } }),
        node('result', 'StridedSlice', ['x', 'starts', 'ends', 'steps'], { Index: INT, ...masks }),
      ],
      { ...constants, steps: [1, 1] },
    );
    assert.deepEqual(await checkOn(source, await exportOnnx(source), fed), [[3, 9], [7], [5]]);
  });

  it('whose length is data is refused by its node', async () => {
    const sliced = [...start, node('result', 'Slice', ['x', 'starts', 'size'], { Index: INT })];
    await assert.rejects(exportOnnx(graphModel(sliced, { ...constants, size: [1, -1] })), {
      name: 'UserError',
      message: /^result: a value was read while the program was being traced, so its graph depends on data/,
    });
  });
});
