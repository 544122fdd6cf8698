/** Graph models whose loops take as many rounds as the data say: ONNX's `Loop`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exportOnnx, type OnnxOptions } from '../../export/index.js';
import {
  BOOL,
  belowLimit,
  CONSTANT,
  checkOn,
  countedLoop,
  counts,
  type Fed,
  FRAME,
  frameLoop,
  graphFunction,
  graphModel,
  INT,
  KEEP,
  node,
  placeholder,
  result,
  rows,
  sum,
  whileLoop,
} from './graphs.js';

/** y = x; while Σ |y| < limit: y = w y */
const growTo = {
  again: graphFunction('again', ['y', 'limit', 'axes', 'w'], { more: 'less' }, belowLimit),
  round: graphFunction('round', ['y', 'limit', 'axes', 'w'], { a: 'more', b: 'limit', c: 'same', d: 'w' }, [
    node('more', 'Mul', ['y', 'w']),
    node('same', 'Identity', ['axes'], { T: INT }),
  ]),
};
const growToModel = () =>
  graphModel(
    [placeholder('x', -1, 3), whileLoop('loop', ['x', 'limit', 'axes', 'w']), result('loop')],
    { limit: Float32Array.of(100), axes: [0, 1], w: Float32Array.of(2, 3, 4) },
    [growTo.again, growTo.round],
  );

describe('a loop whose number of rounds depends on data', () => {
  it('of TensorFlow 1 is a Loop, for any number of rounds and rows, at every operator set', async () => {
    const counted = countedLoop();
    for (const options of [{}, { opset: 17 }, { opset: 22 }, { batch: 2 }] satisfies OnnxOptions[]) {
      const exported = await exportOnnx(counted, options);
      assert.equal(exported.operators.Loop, 1);
      const fed = [rows(1, 2, -1, 0, 0, 0), rows(0, 0, 0, -1, 0, 0), rows(1, 1, 1, 2, 2, 2)];
      const [two, none, nine] = await checkOn(counted, exported, fed);
      assert.deepEqual(two, [4, 8, -4, 0, 0, 0]);
      assert.deepEqual(none, [0, 0, 0, -1, 0, 0]);
      assert.deepEqual(nine, [512, 512, 512, 1024, 1024, 1024]);
      if (!('batch' in options)) await checkOn(counted, exported, [rows(1, 1, 3), rows(1, 1, 3, 0, 0, 0, 0, 0, 0)]);
    }
  });

  it('of TensorFlow 1 may hold conditions', async () => {
    const source = graphModel(
      [
        ...frameLoop('steps').filter(({ name }) => name !== 'y/double'),
        node('sum', 'Max', ['x', 'axes'], { ...KEEP, Tidx: INT }),
        node('steps', 'Cast', ['sum'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
        node('axes/enter', 'Enter', ['axes'], { T: INT, ...CONSTANT }),
        node('limit/float', 'Enter', ['limit'], CONSTANT),
        sum('total', 'y/switch:1', 'axes/enter'),
        node('is high', 'Greater', ['total', 'limit/float']),
        node('choice', 'Switch', ['y/switch:1', 'is high']),
        node('high', 'Neg', ['choice:1']),
        node('low', 'Mul', ['choice', 'two/enter']),
        node('y/double', 'Merge', ['low', 'high'], { N: { i: '2' } }),
      ],
      { start: 0, one: 1, two: counts.two, axes: [0, 1], limit: Float32Array.of(9) },
    );
    const fed = [rows(0, 0, 0.5), rows(3, 1, 0.5, 0, 0, 1), rows(6, 1, 1)];
    await checkOn(source, await exportOnnx(source), fed);
  });

  it('of TensorFlow 2 reads what does not change from around it', async () => {
    const source = growToModel();
    const exported = await exportOnnx(source);
    assert.deepEqual(exported.operators, { Abs: 2, ReduceSum: 2, Less: 2, Mul: 1, Loop: 1 });
    assert.deepEqual(exported.parts.outputs[0].dims, ['N', 3]);
    await checkOn(source, exported, [rows(1, 1, 1), rows(0.01, 0.02, 0.5, 1, 1, 1), rows(99, 99, 99)]);
  });

  it('carries values that change places, stay or come from outside', async () => {
    const names = ['i', 'a', 'b', 'c', 'n', 'one', 'x'];
    const round = graphFunction('round', names, { i: 'j', a: 'b', b: 'a', c: 'x', n: 'n', one: 'one', x: 'x' }, [
      node('j', 'Add', ['i', 'one']),
    ]);
    const again = graphFunction('again', names, { more: 'less' }, [node('less', 'Less', ['i', 'n'])]);
    const source = graphModel(
      [
        placeholder('x', -1, 3),
        sum('n', 'x', 'axes'),
        node('a', 'Neg', ['x']),
        node('b', 'Square', ['x']),
        whileLoop('loop', ['zero', 'a', 'b', 'b', 'n', 'one', 'x']),
        node('result', 'Pack', ['loop:1', 'loop:2', 'loop:3'], { N: { i: '3' }, axis: { i: '0' } }),
      ],
      { zero: Float32Array.of(0), one: Float32Array.of(1), axes: [0, 1] },
      [again, round],
    );
    const exported = await exportOnnx(source);
    await checkOn(source, exported, [rows(0, -1, 0), rows(1, 0, 0), rows(1, 1, 0), rows(0, 1, 1, 0, 0.5, 0)]);
  });

  it('may hold conditions, loops and entries by number', async () => {
    const names = ['i', 'y', 'x', 'n', 'one', 'zero', 'steps', 'limit', 'axes', 'w', 'next'];
    const passed = Object.fromEntries(names.slice(2).map((name) => [name, name]));
    const masks = { begin_mask: { i: '1' }, end_mask: { i: '1' }, shrink_axis_mask: { i: '2' } };
    const round = graphFunction('outer', names, { i: 'j', y: 'sums', ...passed }, [
      node('j', 'Add', ['i', 'one'], { T: INT }),
      node('begin', 'Pack', ['zero', 'i'], { T: INT, N: { i: '2' } }),
      node('end', 'Pack', ['zero', 'j'], { T: INT, N: { i: '2' } }),
      node('column', 'StridedSlice', ['x', 'begin', 'end', 'steps'], { Index: INT, ...masks }), // x[:, i]
      node('wide', 'ExpandDims', ['column', 'one'], { Tdim: INT }),
      node('choice', 'StatelessIf', ['high', 'y', 'wide'], {
        Tcond: { type: 'DT_BOOL' },
        Tin: { list: { type: ['DT_FLOAT', 'DT_FLOAT'] } },
        Tout: { list: { type: ['DT_FLOAT'] } },
        then_branch: { func: { name: 'minus' } },
        else_branch: { func: { name: 'plus' } },
      }),
      node('total', 'Sum', ['y', 'axes'], { ...KEEP, Tidx: INT }),
      node('high', 'Greater', ['total', 'limit']),
      whileLoop('inner', ['choice', 'limit', 'axes', 'w']),
      node('sums', 'Identity', ['inner']),
    ]);
    const more = graphFunction('more', names, { more: 'less' }, [node('less', 'Less', ['i', 'n'], { T: INT })]);
    const branch = (name: string, op: string) =>
      graphFunction(name, ['a', 'b'], { c: 'd' }, [node('d', op, ['a', 'b'])]);
    const source = graphModel(
      [
        placeholder('x', -1, 3),
        node('sum', 'Max', ['x', 'axes'], { ...KEEP, Tidx: INT }),
        node('n', 'Cast', ['sum'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
        whileLoop(
          'loop',
          ['zero', 'x', 'x', 'n', 'one', 'zero', 'steps', 'limit', 'axes', 'w', 'one'],
          ['more', 'outer'],
        ),
        result('loop:1'),
      ],
      { zero: 0, one: 1, steps: [1, 1], limit: Float32Array.of(20), axes: [0, 1], w: Float32Array.of(1.5, 2, 1) },
      [round, more, branch('plus', 'Add'), branch('minus', 'Sub'), growTo.again, growTo.round],
    );
    const exported = await exportOnnx(source);
    assert.equal(exported.operators.Loop, 2);
    await checkOn(source, exported, [rows(0, 0.5, 0), rows(1, 2, 0.5), rows(3, 1, 2, 0.25, 1, 1)]);
  });

  it('carries values that grow in every round, from nothing too', async () => {
    const names = ['ids', 'sums', 'last', 'limit', 'one', 'scale'];
    const round = graphFunction(
      'round',
      names,
      { ids: 'more', sums: 'all', last: 'next', limit: 'limit', one: 'one', scale: 'scale' },
      [
        node('next', 'Mul', ['last', 'scale']),
        node('more', 'ConcatV2', ['ids', 'next', 'one'], { N: { i: '2' }, Tidx: INT }),
        node('sum', 'Sum', ['more', 'axes'], { ...KEEP, Tidx: INT }),
        node('axes', 'Range', ['zero', 'two', 'one'], { Tidx: INT }),
        node('zero', 'Sub', ['one', 'one'], { T: INT }),
        node('two', 'Add', ['one', 'one'], { T: INT }),
        node('flat', 'ExpandDims', ['sum', 'zero'], { Tdim: INT }),
        node('all', 'ConcatV2', ['sums', 'flat', 'zero'], { N: { i: '2' }, Tidx: INT }),
      ],
    );
    const again = graphFunction('again', names, { more: 'less' }, [
      node('size', 'Abs', ['last']),
      node('most', 'Max', ['size', 'ranks'], { ...KEEP, Tidx: INT }),
      node('ranks', 'Range', ['zero', 'two', 'one'], { Tidx: INT }),
      node('zero', 'Sub', ['one', 'one'], { T: INT }),
      node('two', 'Add', ['one', 'one'], { T: INT }),
      node('less', 'Less', ['most', 'limit']),
    ]);
    const source = graphModel(
      [
        placeholder('x', -1, 1),
        whileLoop('loop', ['x', 'nothing', 'x', 'limit', 'one', 'scale']),
        node('ids', 'Identity', ['loop:0']),
        node('sums', 'Identity', ['loop:1']),
      ],
      { limit: Float32Array.of(50), nothing: new Float32Array(0), one: 1, scale: Float32Array.of(2) },
      [again, round],
    );
    for (const options of [{}, { batch: 2, opset: 22 }] satisfies OnnxOptions[]) {
      const exported = await exportOnnx(source, options);
      const fed: Fed[] = [
        {
          x: [
            [1, 2],
            [2, 1],
          ],
        },
        {
          x: [
            [40, 0.5],
            [2, 1],
          ],
        },
        {
          x: [
            [60, 0.5],
            [2, 1],
          ],
        },
      ];
      const [five] = await checkOn(source, exported, fed);
      assert.equal(five.length, 2 * 6);
    }
  });

  it('takes no round in a branch that is not taken', async () => {
    const names = ['y', 'limit', 'axes'];
    const source = graphModel(
      [
        placeholder('x', -1, 3),
        sum('sum', 'x', 'axes'),
        node('positive', 'Greater', ['sum', 'zero']),
        node('result', 'StatelessIf', ['positive', 'x', 'limit', 'axes'], {
          Tcond: { type: 'DT_BOOL' },
          then_branch: { func: { name: 'grown' } },
          else_branch: { func: { name: 'negated' } },
        }),
      ],
      { limit: Float32Array.of(100), zero: Float32Array.of(0), axes: [0, 1] },
      [
        graphFunction('again', names, { more: 'less' }, [
          sum('total', 'y', 'axes'),
          node('less', 'Less', ['total', 'limit']),
        ]),
        graphFunction('round', names, { y: 'more', limit: 'limit', axes: 'axes' }, [node('more', 'Add', ['y', 'y'])]),
        graphFunction('grown', names, { y: 'loop' }, [whileLoop('loop', names)]),
        graphFunction('negated', names, { y: 'minus' }, [node('minus', 'Neg', ['y'])]),
      ],
    );
    // Doubled, negative numbers stay below the limit forever.
    await checkOn(source, await exportOnnx(source), [rows(5, 5, 5), rows(-1, -2, -3)]);
  });

  it('of TensorFlow 1 takes no round in a branch that is not taken, but after it', async () => {
    const source = graphModel(
      [
        placeholder('x', -1, 3),
        sum('sum', 'x', 'axes'),
        node('positive', 'Greater', ['sum', 'zero']),
        node('choice', 'Switch', ['x', 'positive']),
        node('y/enter', 'Enter', ['choice:1'], FRAME),
        node('limit/enter', 'Enter', ['low'], CONSTANT),
        node('axes/enter', 'Enter', ['axes'], { T: INT, ...CONSTANT }),
        node('y/merge', 'Merge', ['y/enter', 'y/next'], { N: { i: '2' } }),
        sum('total', 'y/merge', 'axes/enter'),
        node('less', 'Less', ['total', 'limit/enter']),
        node('again', 'LoopCond', ['less'], BOOL),
        node('y/switch', 'Switch', ['y/merge', 'again']),
        node('y/double', 'Add', ['y/switch:1', 'y/switch:1']),
        node('y/next', 'NextIteration', ['y/double']),
        node('grown', 'Exit', ['y/switch']),
        node('negated', 'Neg', ['choice']),
        node('either', 'Merge', ['negated', 'grown'], { N: { i: '2' } }),
        whileLoop('loop', ['either', 'limit', 'axes', 'w']),
        result('loop'),
      ],
      {
        limit: Float32Array.of(100),
        low: Float32Array.of(40),
        zero: Float32Array.of(0),
        axes: [0, 1],
        w: Float32Array.of(2, 3, 4),
      },
      [growTo.again, growTo.round],
    );
    const exported = await exportOnnx(source);
    assert.equal(exported.operators.Loop, 2);
    await checkOn(source, exported, [rows(5, 5, 5), rows(-1, -2, -3), rows(99, 1, 1)]);
  });

  it('halves images of any size inside and after it', async () => {
    const base64 = (text: string) => ({ s: Buffer.from(text).toString('base64') });
    const sides = { list: { i: ['1', '2', '2', '1'] } };
    const pool = (name: string, input: string) =>
      node(name, 'MaxPool', [input], {
        ksize: sides,
        strides: sides,
        padding: base64('VALID'),
        data_format: base64('NHWC'),
      });
    const names = ['y', 'limit', 'axes'];
    const source = graphModel(
      [
        placeholder('x', -1, -1, -1, 2),
        whileLoop('loop', ['x', 'limit', 'axes']),
        pool('half', 'loop'),
        node('shape', 'Shape', ['half'], { out_type: INT }),
        node('twos', 'Fill', ['shape', 'two'], { index_type: INT }),
        node('result', 'Mul', ['half', 'twos']),
      ],
      { limit: Float32Array.of(1e4), axes: [0, 1, 2, 3], two: Float32Array.of(2) },
      [
        graphFunction('again', names, { more: 'less' }, [
          sum('total', 'y', 'axes'),
          node('less', 'Less', ['total', 'limit']),
        ]),
        graphFunction('round', names, { y: 'more', limit: 'limit', axes: 'axes' }, [
          pool('half', 'y'),
          node('mean', 'Mean', ['half', 'axes'], { ...KEEP, Tidx: INT }),
          node('more', 'Add', ['y', 'mean']),
        ]),
      ],
    );
    const image = (rows: number, columns: number): Fed => ({
      x: [Array.from({ length: rows * columns * 2 }, (_, i) => ((i * 79) % 101) / 10), [1, rows, columns, 2]],
    });
    await checkOn(source, await exportOnnx(source), [image(9, 12), image(33, 46), image(100, 101)]);
  });

  it('is refused, by its node, where a shape changes otherwise', async () => {
    const doubling = graphModel(
      [placeholder('x', -1, 3), whileLoop('loop', ['x', 'limit', 'axes', 'one']), result('loop')],
      { limit: Float32Array.of(100), axes: [0, 1], one: 1 },
      [
        { ...growTo.again, signature: { ...growTo.again.signature } },
        graphFunction('round', ['y', 'limit', 'axes', 'w'], { a: 'more', b: 'limit', c: 'axes', d: 'w' }, [
          node('more', 'ConcatV2', ['y', 'y', 'w'], { N: { i: '2' }, Tidx: INT }),
        ]),
      ],
    );
    await assert.rejects(exportOnnx(doubling, { batch: 2 }), {
      name: 'UserError',
      message: /^loop: .*its value 0 from float32 \[2, \d+\] into float32 \[2, \d+\].*--outputs/,
    });
  });

  it('ends with the trace, also where another node is refused meanwhile', async () => {
    const source = graphModel(
      [
        placeholder('x', -1, 3),
        sum('total', 'x', 'axes'),
        node('whole', 'Cast', ['total'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
        node('ends', 'Pack', ['whole', 'whole'], { T: INT, N: { i: '2' } }),
        node('result', 'Slice', ['x', 'ends', 'ends'], { Index: INT }),
        whileLoop('loop', ['x', 'limit', 'axes', 'w']),
      ],
      { limit: Float32Array.of(100), axes: [0, 1], w: Float32Array.of(2, 3, 4) },
      [growTo.again, growTo.round],
    );
    await assert.rejects(exportOnnx(source), { name: 'UserError', message: /^result \(Slice\): needs the value/ });
    const good = growToModel(); // of what went on, nothing is in the next
    await checkOn(good, await exportOnnx(good), [rows(1, 1, 1)]);
  });

  it('that reads a shape from data is refused with the model’s control flow', async () => {
    const names = ['y', 'limit', 'axes'];
    const source = graphModel(
      [placeholder('x', -1, 3), whileLoop('loop', ['x', 'limit', 'axes']), result('loop')],
      { limit: Float32Array.of(100), axes: [0, 1] },
      [
        graphFunction('again', names, { more: 'less' }, belowLimit),
        graphFunction('round', names, { y: 'more', limit: 'limit', axes: 'axes' }, [
          sum('total', 'y', 'axes'),
          node('whole', 'Cast', ['total'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
          node('more', 'Fill', ['whole', 'limit'], { index_type: INT }),
        ]),
      ],
    );
    await assert.rejects(exportOnnx(source), {
      name: 'UserError',
      message: /^more \(Fill\): needs the value of a tensor/,
    });
  });
});
