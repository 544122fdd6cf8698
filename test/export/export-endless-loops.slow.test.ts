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
    message: /^loop: this loop has not ended after 100,000 rounds on the random numbers of the check; limit its rounds/,
  });
});
