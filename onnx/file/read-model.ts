/** Reads an ONNX file of any origin. */
import { readFile, stat } from 'node:fs/promises';
import { UserError } from '../../base/errors.js';
import { readMetadataProps } from './model-file.js';
import { onnx } from './onnx-proto.js';

type ModelProto = onnx.IModelProto;

/** Protobuf's own limit: larger models keep their values in files next to them. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * The model; tensors are views into the file's bytes, or stay outside (`external-data.ts`).
 * @throws {UserError} when the file is absent, no ONNX file, cut short, damaged, or has no graph
 */
export async function readModel(path: string): Promise<ModelProto> {
  await readMetadataProps(path); // walks over the file's fields: says where it is cut short
  const { size } = await stat(path);
  if (size > MAX_BYTES) {
    throw new UserError(`${path}: expected at most ${MAX_BYTES} bytes, got ${size}; keep the weights as external data`);
  }
  let model: ModelProto;
  try {
    model = onnx.ModelProto.decode(await readFile(path));
  } catch (cause) {
    throw new UserError(`${path}: damaged: its protobuf does not decode (${(cause as Error).message})`, { cause });
  }
  if (!model.graph?.node?.length) throw new UserError(`${path}: expected a graph with nodes, got none`);
  return model;
}
