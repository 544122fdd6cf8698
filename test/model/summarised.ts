/** A network, built in full size, against its summary. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildNetwork } from '../../model/network.js';
import type { NetworkSpec } from '../../model/spec.js';
import { summarize } from '../../model/summary.js';

export function itIsAsSummarised(spec: NetworkSpec): void {
  test(`${spec.name}: layers have the names, sizes and parameters of the summary`, () => {
    const model = buildNetwork(spec, { classes: 5, seed: 0, drawn: [], width: 1 });
    const built = model.layers.filter((layer) => !['input', 'flatten'].includes(layer.name));
    assert.deepEqual(
      built.map((layer) => ({
        name: layer.name,
        output: (layer.outputShape as number[]).slice(1),
        parameters: layer.countParams(),
      })),
      summarize(spec, 5).layers.map(({ name, output, parameters }) => ({ name, output, parameters })),
    );
    model.dispose();
  });
}
