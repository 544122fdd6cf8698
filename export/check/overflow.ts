/** Where a model leaves float16's range. onnxruntime's cpu provider may compute in float32 all the same, and not show it. */
import { UserError } from '../../base/errors.js';
import { OnnxModel } from '../../onnx/file/onnx-model.js';
import { encodeModel, type ModelParts } from '../../onnx/file/proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import type { Feeds } from '../precision/calibrate.js';
import { toFloat16 } from '../precision/float16.js';

/** float16's largest number. */
const LARGEST = 65504;

/** A value that float16 cannot hold. */
export class OverflowError extends UserError {}

/**
 * @param parts  the model in float32
 * @throws {OverflowError} naming the first value that is computed in float16, which cannot hold it
 */
export async function checkOverflow(parts: ModelParts, feeds: Feeds): Promise<void> {
  const stated = new Map([...(parts.valueInfo ?? []), ...parts.outputs].map((info) => [info.name, info]));
  const halved = toFloat16(new OnnxModel(parts)).parts.nodes.flatMap((node) => node.outputs);
  const half = new Set(
    halved.flatMap(({ name, dtype }) => (dtype === 'float16' ? [name.replace(/\/float16$/, '')] : [])),
  );
  const names = parts.nodes.flatMap((node) => node.outputs.map(({ name }) => name));
  const outputs = names.flatMap((name) => (half.has(name) ? (stated.get(name) ?? []) : []));
  if (outputs.length === 0) return;
  const session = await ort.InferenceSession.create(encodeModel({ ...parts, outputs, valueInfo: [] }), {
    logSeverityLevel: 3,
  });
  try {
    for (let row = 0; row < feeds.count; row++) {
      const results = await session.run(await feeds.at(row, 1));
      for (const { name } of outputs) checkValues(parts, name, results[name].data as Float32Array);
    }
  } finally {
    await session.release();
  }
}

function checkValues(parts: ModelParts, name: string, values: Float32Array): void {
  const over = values.find((value) => Math.abs(value) > LARGEST);
  if (over === undefined) return;
  const layer = parts.nodes.find((node) => node.outputs.some((value) => value.name === name))?.scope;
  throw new OverflowError(
    `${name}${layer && layer !== name ? ` of ${layer}` : ''}: is ${over} for the check's inputs, which float16 (up to ${LARGEST}) cannot hold; ` +
      'keep the model in float32 (--precision fp32)',
  );
}
