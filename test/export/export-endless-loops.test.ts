/** Graph models whose loops do not end for the numbers that an export is checked on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exportOnnx } from '../../export/index.js';
import {
  counts,
  frameLoop,
  graphFunction,
  graphModel,
  INT,
  KEEP,
  node,
  placeholder,
  result,
  sum,
  whileLoop,
} from './graphs.js';

const refused = (loop: string) => ({
  name: 'UserError',
  message: new RegExp(`^${loop}: this loop did not end within 100,000 rounds on the check's random numbers; .*`),
});

describe('a loop that does not end for the numbers of the check is refused by its name', () => {
  it('of TensorFlow 2, also inside another', async () => {
    const names = ['y', 'limit', 'axes'];
    const passed = { limit: 'limit', axes: 'axes' };
    const below = [sum('total', 'y', 'axes'), node('less', 'Less', ['total', 'limit'])];
    const source = graphModel(
      [placeholder('x', -1, 3), whileLoop('loop', ['x', 'limit', 'axes'], ['again', 'outer']), result('loop')],
      { limit: Float32Array.of(100), axes: [0, 1] },
      [
        graphFunction('again', names, { more: 'less' }, below),
        graphFunction('outer', names, { y: 'inner', ...passed }, [whileLoop('inner', names)]),
        // 100 is never reached: the sum of x stays what it is, or changes its sign
        graphFunction('round', names, { y: 'minus', ...passed }, [node('minus', 'Neg', ['y'])]),
      ],
    );
    await assert.rejects(exportOnnx(source), refused('inner'));
  });

  it('of TensorFlow 1', async () => {
    const steps = [
      node('most', 'Max', ['x', 'axes'], { ...KEEP, Tidx: INT }),
      node('up', 'Ceil', ['most']),
      node('steps', 'Cast', ['up'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
    ];
    const source = graphModel([...frameLoop('steps'), ...steps], { ...counts, one: 0, axes: [0, 1] });
    await assert.rejects(exportOnnx(source), refused('again'));
  });
});
