/** A model file opened in onnxruntime with its graph edited; its weights stay in the file. */
import { dirname } from 'node:path';
import * as ort from '../onnxruntime.js';
import { encodeEdited } from './encode-edited.js';
import { onnx } from './onnx-proto.js';
import { readSkeleton } from './read-skeleton.js';

type ModelProto = onnx.IModelProto;

/** @param edit  gives another model; lists of the graph may be others, see `encodeEdited` */
export function openEdited(
  file: string,
  edit: (model: ModelProto) => ModelProto,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  const { skeleton: bytes } = readSkeleton(file);
  const proto = onnx.ModelProto.decode(bytes);
  return ort.InferenceSession.create(encodeEdited({ bytes, proto }, edit(proto)), {
    ...options,
    extra: {
      session: { ...(options.extra?.session as object), model_external_initializers_file_folder_path: dirname(file) },
    },
  });
}
