/**
 * Reads an exported `.onnx` file and makes sure, before anything is started, that it is a classifier this program can serve:
 * `image` uint8 [N, imagePx, imagePx, 3] → `probabilities` float32 [N, classes], with labels in its metadata.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import onnxProto from 'onnx-proto';
import { withExternalData } from '../../export/external-data.js';
import { type ModelMetadata, propsToMetadata } from '../../export/metadata.js';
import { UserError } from '../../model/errors.js';

// onnx-proto is CommonJS: named imports fail under ESM.
const { onnx } = onnxProto;
type ModelProto = import('onnx-proto').onnx.IModelProto;
type ValueInfo = import('onnx-proto').onnx.IValueInfoProto;

export interface ModelFile {
  /** As on disk. */
  bytes: Uint8Array;
  /** Decoded from `bytes`; its tensors are views into them, or read from the file beside it. */
  proto: ModelProto;
  /** False where tensors lie outside of `bytes`. */
  isWhole: boolean;
  metadata: ModelMetadata;
  /** `metadata.model`, or the file's name where that is absent. */
  name: string;
}

/**
 * @throws {UserError} when the file cannot be read, is no ONNX file, is cut short or is not a classifier with the image head
 */
export async function readModelFile(file: string): Promise<ModelFile> {
  const bytes = await readBytes(file);
  const decoded = decodeProto(bytes, file);
  const metadata = propsToMetadata(decoded.metadataProps ?? [], file);
  if (metadata.head !== 'image') {
    throw new UserError(
      `${file}: exported with --head ${metadata.head}, which takes tensors; to classify pictures, export with --head image`,
    );
  }
  checkGraph(decoded, metadata, file);
  const proto = await withExternalData(file, decoded);
  return { bytes, proto, isWhole: proto === decoded, metadata, name: metadata.model ?? basename(file, '.onnx') };
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'no such file',
      EISDIR: 'is a folder',
      EACCES: 'may not be read',
    };
    const reason = reasons[code ?? ''] ?? `cannot be read: ${message}`;
    throw new UserError(`${file}: ${reason}; expected a .onnx file made with "alexnet export"`, { cause });
  }
}

function decodeProto(bytes: Uint8Array, file: string): ModelProto {
  let proto: ModelProto;
  try {
    proto = onnx.ModelProto.decode(bytes);
  } catch (cause) {
    throw new UserError(
      `${file}: not an ONNX file, or cut short (${bytes.length} bytes); make it again with "alexnet export"`,
      { cause },
    );
  }
  if (!proto.graph?.node?.length || !proto.opsetImport?.length) {
    throw new UserError(
      `${file}: not an ONNX file (${bytes.length} bytes hold no graph); make one with "alexnet export"`,
    );
  }
  return proto;
}

function checkGraph({ graph }: ModelProto, { labels, synsets, imagePx }: ModelMetadata, file: string): void {
  const { UINT8, FLOAT } = onnx.TensorProto.DataType;
  const initializers = new Set(graph?.initializer?.map(({ name }) => name));
  const inputs = (graph?.input ?? []).filter(({ name }) => !initializers.has(name));
  const expected = [
    { role: 'input', values: inputs, name: 'image', type: UINT8, dims: [imagePx, imagePx, 3] },
    { role: 'output', values: graph?.output ?? [], name: 'probabilities', type: FLOAT, dims: [labels.length] },
  ];
  for (const { role, values, name, type, dims } of expected) {
    const wanted = describe(name, type, ['N', ...dims]);
    const found = values.map(describeInfo);
    const sameBatch = found[0]?.replace(/\[[^,\]]*/, '[N');
    if (found.length === 1 && sameBatch === wanted) continue;
    throw new UserError(
      `${file}: not a classifier of pictures: expected the ${role} ${wanted}, got ${found.join(', ') || 'none'}; ` +
        'make one with "alexnet export --head image"',
    );
  }
  if (synsets && synsets.length !== labels.length) {
    throw new UserError(`${file}: metadata has ${labels.length} labels and ${synsets.length} synsets; export it again`);
  }
}

function describe(name: string, type: number, dims: (number | string)[]): string {
  return `${name} ${onnx.TensorProto.DataType[type]?.toLowerCase() ?? `type ${type}`} [${dims.join(', ')}]`;
}

function describeInfo({ name, type }: ValueInfo): string {
  const tensor = type?.tensorType;
  const dims = tensor?.shape?.dim ?? [];
  const lengths = dims.map((dim) => dim.dimParam || String(dim.dimValue ?? '?'));
  return describe(name ?? '', tensor?.elemType ?? 0, lengths);
}
