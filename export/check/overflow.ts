/** Where a model leaves float16's range. */
import { UserError } from '../../base/errors.js';
import { encodeModel, type ModelParts } from '../../onnx/file/proto.js';
import * as ort from '../../onnx/onnxruntime.js';

/** float16's largest number. */
const LARGEST = 65504;

/**
 * @param parts  the model in float32
 * @returns      an error that names the first value that float16 cannot hold; undefined if all fit
 */
export async function overflowOf(parts: ModelParts, feeds: Record<string, ort.Tensor>): Promise<UserError | undefined> {
  const stated = new Map([...(parts.valueInfo ?? []), ...parts.outputs].map((info) => [info.name, info]));
  const outputs = parts.nodes.flatMap((node) => node.outputs.flatMap(({ name }) => stated.get(name) ?? []));
  const session = await ort.InferenceSession.create(encodeModel({ ...parts, outputs, valueInfo: [] }), {
    logSeverityLevel: 3,
  });
  try {
    const results = await session.run(feeds);
    for (const { name } of outputs.filter(({ dtype }) => dtype === 'float32')) {
      const values = results[name].data as Float32Array;
      const at = values.findIndex((value) => Math.abs(value) > LARGEST);
      if (at < 0) continue;
      const layer = parts.nodes.find((node) => node.outputs.some((value) => value.name === name))?.scope;
      return new UserError(
        `${name}${layer && layer !== name ? ` of ${layer}` : ''}: is ${values[at]} for the check's inputs, which float16 (up to ${LARGEST}) cannot hold; ` +
          'export the model with --precision fp32',
      );
    }
    return undefined;
  } finally {
    await session.release();
  }
}
