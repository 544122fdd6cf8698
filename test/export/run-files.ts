/**
 * Runs exported files in another onnxruntime-node: `node run-files.js PACKAGE FOLDER NAME…`. For every NAME,
 * FOLDER/NAME.onnx is run on the inputs of FOLDER/NAME.json; one JSON line each says how far the outputs are from those
 * in there, as a share of the largest.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Ort from '../../onnx/onnxruntime.js';

/** Inputs and outputs of a file. */
export interface Case {
  inputs: { name: string; dtype: 'float32' | 'uint8'; dims: number[]; data: number[] }[];
  outputs: { name: string; dims: number[]; data: number[] }[];
}

const [, , packageFolder, folder, ...names] = process.argv;
const ort = createRequire(import.meta.url)(packageFolder) as typeof Ort;

for (const name of names) {
  const { inputs, outputs } = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Case;
  const session = await ort.InferenceSession.create(join(folder, `${name}.onnx`), { logSeverityLevel: 3 });
  const results = await session.run(
    Object.fromEntries(
      inputs.map(({ name, dtype, dims, data }) => {
        const values = dtype === 'uint8' ? Uint8Array.from(data) : Float32Array.from(data);
        return [name, new ort.Tensor(dtype as 'float32', values as Float32Array, dims)];
      }),
    ),
  );
  const differences = outputs.map(({ name, data }) => {
    const actual = results[name].data as Float32Array;
    const most = data.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
    return data.reduce((far, value, i) => Math.max(far, Math.abs(value - actual[i])), 0) / most;
  });
  console.log(JSON.stringify({ name, difference: Math.max(...differences) }));
}
