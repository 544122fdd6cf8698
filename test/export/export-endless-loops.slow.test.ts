/** A loop that does not end in TensorFlow.js, though it does in the file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportOnnx } from '../../export/index.js';
import { graphFunction, graphModel, node, placeholder, result, sum, whileLoop } from './graphs.js';

test('an endless loop that the file leaves out, because it changes nothing, is refused by its name', async () => {
  const names = ['y', 'limit', 'axes'];
  const source = graphModel(
    [placeholder('x', -1, 3), whileLoop('loop', ['x', 'limit', 'axes']), result('loop')],
    { limit: Float32Array.of(100), axes: [0, 1] },
    [
      graphFunction('again', names, { more: 'less' }, [
        sum('total', 'y', 'axes'),
        node('less', 'Less', ['total', 'limit']),
      ]),
      graphFunction('round', names, { y: 'same', limit: 'limit', axes: 'axes' }, [node('same', 'Identity', ['y'])]),
    ],
  );
  await assert.rejects(exportOnnx(source), {
    name: 'UserError',
    message: /^loop: this loop did not end within 100,000 rounds on the check's random numbers; limit its rounds/,
  });
});

test('a loop inside another has all its rounds each time it begins', async () => {
  const names = ['i', 'y', 'n', 'm', 'one', 'zero'];
  const kept = { n: 'n', m: 'm', one: 'one', zero: 'zero' };
  const nested = (inner: number) =>
    graphModel(
      [
        placeholder('x', -1, 3),
        whileLoop('outer', ['zero', 'x', 'n', 'm', 'one', 'zero'], ['belowN', 'outerRound']),
      ].concat(node('result', 'Identity', ['outer:1'])),
      {
        n: Float32Array.of(45),
        m: Float32Array.of(inner),
        one: Float32Array.of(1),
        zero: Float32Array.of(0),
      },
      [
        graphFunction('belowN', names, { more: 'less' }, [node('less', 'Less', ['i', 'n'])]),
        graphFunction('belowM', names, { more: 'less' }, [node('less', 'Less', ['i', 'm'])]),
        graphFunction('outerRound', names, { i: 'add', y: 'inner:1', ...kept }, [
          node('add', 'Add', ['i', 'one']),
          whileLoop('inner', ['zero', 'y', 'n', 'm', 'one', 'zero'], ['belowM', 'innerRound']),
        ]),
        graphFunction('innerRound', names, { i: 'add', y: 'neg', ...kept }, [
          node('add', 'Add', ['i', 'one']),
          node('neg', 'Neg', ['y']),
        ]),
      ],
    );
  await exportOnnx(nested(46)); // 2,070 rounds in all, of which no loop has more than 46 at a time
});
