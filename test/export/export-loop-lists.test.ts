/** Lists of tensors in loops of graph models that take as many rounds as the data say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { exportOnnx } from '../../export/index.js';
import {
  belowLimit,
  CONSTANT,
  checkOn,
  counts,
  FRAME,
  frameLoop,
  graphFunction,
  graphModel,
  INT,
  node,
  placeholder,
  result,
  rows,
  sum,
  whileLoop,
} from './graphs.js';

const ELEMENT = { element_dtype: { type: 'DT_FLOAT' }, shape_type: INT };

/**
 * x [?, 3], doubled up to a limit; a round begins with what `nodes`, the last one `again`, do to a list, and the graph
 * ends with what `after`, the last one `filled`, does to it.
 */
function listingModel(
  nodes: ReturnType<typeof node>[],
  after = [node('filled', 'Identity', ['loop'], ELEMENT)],
): GraphModel {
  const names = ['list', 'y', 'limit', 'axes', 'four'];
  const round = { list: 'again', y: 'more', limit: 'limit', axes: 'axes', four: 'four' };
  return graphModel(
    [
      placeholder('x', -1, 3),
      node('list', 'TensorListReserve', ['any', 'four'], ELEMENT),
      whileLoop('loop', ['list', 'x', 'limit', 'axes', 'four']),
      ...after,
      node('all', 'TensorListStack', ['filled', 'any'], { ...ELEMENT, num_elements: { i: '-1' } }),
      result('all'),
    ],
    { limit: Float32Array.of(100), axes: [0, 1], any: -1, four: 4 },
    [
      graphFunction('again', names, { more: 'less' }, belowLimit),
      graphFunction('round', names, round, [...nodes, node('more', 'Add', ['y', 'y'])]),
    ],
  );
}

describe('a list in a loop whose number of rounds depends on data', () => {
  it('gets a value in every round', async () => {
    const source = listingModel([node('again', 'TensorListPushBack', ['list', 'y'], ELEMENT)]);
    const exported = await exportOnnx(source);
    assert.deepEqual(exported.parts.outputs[0].dims, ['grown', 'N', 3]);
    const [three] = await checkOn(source, exported, [rows(5, 5, 5), rows(1, 0, 0, 0, 1, 0)]);
    assert.deepEqual(
      three.filter((_, i) => i % 3 === 0),
      [5, 10, 20],
    );
  });

  it('of TensorFlow 1 is read, or another written, by the number of the round', async () => {
    const array = { dtype: { type: 'DT_FLOAT' }, dynamic_size: { b: true } };
    const resource = { T: { type: 'DT_RESOURCE' }, ...CONSTANT };
    const source = graphModel(
      [
        ...frameLoop('steps').filter(({ name }) => name !== 'y' && name !== 'result'),
        sum('sum', 'x', 'axes'),
        node('whole', 'Cast', ['sum'], { SrcT: { type: 'DT_FLOAT' }, DstT: INT }),
        node('some', 'Maximum', ['whole', 'one'], { T: INT }),
        node('steps', 'Minimum', ['some', 'three'], { T: INT }),
        node('columns', 'Transpose', ['x', 'turned'], { Tperm: INT }),
        node('xs', 'TensorArrayV3', ['three'], array),
        node('xs/flow', 'TensorArrayScatterV3', ['xs', 'places', 'columns', 'xs:1']),
        node('xs/enter', 'Enter', ['xs'], resource),
        node('flow/xs', 'Enter', ['xs/flow'], CONSTANT),
        node('ys', 'TensorArrayV3', ['start'], array),
        node('ys/enter', 'Enter', ['ys'], resource),
        node('flow/enter', 'Enter', ['ys:1'], FRAME),
        node('flow/merge', 'Merge', ['flow/enter', 'flow/next'], { N: { i: '2' } }),
        node('flow/switch', 'Switch', ['flow/merge', 'again']),
        node('read', 'TensorArrayReadV3', ['xs/enter', 'i/switch:1', 'flow/xs'], array),
        node('doubled', 'Mul', ['read', 'two/enter']),
        node('write', 'TensorArrayWriteV3', ['ys/enter', 'i/switch:1', 'doubled', 'flow/switch:1']),
        node('flow/next', 'NextIteration', ['write']),
        node('flow/exit', 'Exit', ['flow/switch']),
        node('size', 'TensorArraySizeV3', ['ys', 'flow/exit']),
        node('all', 'Range', ['start', 'size', 'one'], { Tidx: INT }),
        node('gathered', 'TensorArrayGatherV3', ['ys', 'all', 'flow/exit'], array),
        result('gathered'),
      ],
      { ...counts, axes: [0, 1], turned: [1, 0], places: [0, 1, 2] },
    );
    const exported = await exportOnnx(source);
    assert.deepEqual(exported.parts.outputs[0].dims, ['grown', 'N']);
    const [one] = await checkOn(source, exported, [rows(1, -1, 1), rows(0.5, 1, 0, 1, 0.5, 0), rows(1, 1, 1)]);
    assert.deepEqual(one, [2]);
  });

  it('is refused, by the loop’s node, where it changes otherwise', async () => {
    const push = (name: string, list: string, value = 'y') => node(name, 'TensorListPushBack', [list, value], ELEMENT);
    const rounds = {
      'adds twice': [push('pushed', 'list'), push('again', 'pushed')],
      'asks for the length': [
        push('again', 'list', 'whole'),
        node('length', 'TensorListLength', ['list']),
        node('float', 'Cast', ['length'], { SrcT: INT, DstT: { type: 'DT_FLOAT' } }),
        node('whole', 'Add', ['y', 'float']),
      ],
      'sets an entry': [node('again', 'TensorListSetItem', ['list', 'four', 'y'], ELEMENT)],
    };
    for (const [what, nodes] of Object.entries(rounds)) {
      const message = /^loop: .*does more to a list of tensors .*than add one value.*in every round.*--outputs/;
      await assert.rejects(exportOnnx(listingModel(nodes)), { name: 'UserError', message }, what);
    }
    const pushing = listingModel([push('again', 'list')], [push('filled', 'loop', 'loop:1')]);
    await assert.rejects(exportOnnx(pushing), {
      name: 'UserError',
      message: /^loop: its list of tensors .*is changed after the loop.*--outputs/,
    });
  });
});
