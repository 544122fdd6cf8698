/** Tensors of an ONNX model that lie in a file next to it (`data_location` EXTERNAL, onnx/docs/ExternalData.md). */
import { open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { UserError } from '../../base/errors.js';
import { leaves, ownRoots, type Roots, requireInside } from '../../base/links.js';
import { requireFile } from '../../base/require-file.js';
import { onnx } from './onnx-proto.js';

const { DataLocation } = onnx.TensorProto;
type TensorProto = onnx.ITensorProto;
type ModelProto = onnx.IModelProto;
export type ExternalEntry = onnx.IStringStringEntryProto;

export function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === DataLocation.EXTERNAL;
}

/**
 * @param model  path of the model's file
 * @param roots  folders that links may lead into; undefined for the model's own
 * @throws {UserError} if the data file is missing, cut short, or outside the model's folder
 */
export async function readExternalData(model: string, tensor: TensorProto, roots?: Roots): Promise<Uint8Array> {
  const { path, offset, length } = await findExternalData(model, tensor, roots);
  const file = await open(path);
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw new UserError(`${model}: ${tensor.name}: ${path} shrank while it was read`);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/**
 * As `readExternalData`, without reading.
 * @returns  bytes that the tensor takes
 */
export async function checkExternalData(
  model: string,
  tensor: TensorProto,
  roots?: Roots,
): Promise<{ path: string; length: number }> {
  return findExternalData(model, tensor, roots);
}

async function findExternalData(
  model: string,
  tensor: TensorProto,
  roots?: Roots,
): Promise<{ path: string; offset: number; length: number }> {
  const where = `${model}: ${tensor.name}`;
  const values = new Map((tensor.externalData ?? []).map(({ key, value }) => [key, value ?? '']));
  const path = await locate(where, model, values.get('location') ?? '', roots ?? (await ownRoots(model)));
  requireFile(path);
  const { size } = await stat(path);
  const offset = wholeNumber(where, 'offset', values.get('offset') ?? '0');
  const length = wholeNumber(where, 'length', values.get('length') ?? String(size - offset));
  if (offset + length > size) {
    throw new UserError(`${where}: ${path} is cut short: expected at least ${offset + length} bytes, got ${size}`);
  }
  return { path, offset, length };
}

/**
 * The folder that a model's data really lies in, and the locations of its tensors in that: onnxruntime follows no link
 * out of the folder it is given.
 * @returns  undefined if it lies in several
 */
export async function realLocations(
  path: string,
  model: ModelProto,
): Promise<{ folder: string; locations: Map<TensorProto, ExternalEntry[]> } | undefined> {
  const folder = dirname(await realpath(path));
  const locations = new Map<TensorProto, ExternalEntry[]>();
  for (const tensor of model.graph?.initializer ?? []) {
    const entry = isExternal(tensor) && tensor.externalData?.find(({ key }) => key === 'location');
    if (!entry) continue;
    const value = relative(folder, await realpath(join(dirname(path), entry.value ?? '')));
    if (leaves(value)) return undefined;
    const others = tensor.externalData?.filter((other) => other !== entry) ?? [];
    locations.set(tensor, [{ key: 'location', value }, ...others]);
  }
  return { folder, locations };
}

/** The values of all tensors of a model that lie in files next to it. */
export async function readAllExternalData(
  path: string,
  model: ModelProto,
  roots?: Roots,
): Promise<Map<TensorProto, Uint8Array>> {
  const values = new Map<TensorProto, Uint8Array>();
  for (const tensor of model.graph?.initializer ?? []) {
    if (isExternal(tensor)) values.set(tensor, await readExternalData(path, tensor, roots));
  }
  return values;
}

function wholeNumber(where: string, key: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UserError(`${where}: expected a whole number as ${key} of its external data, got ${JSON.stringify(text)}`);
}

/** The data file, named within the model's folder or below, without links. */
async function locate(where: string, model: string, location: string, roots: Roots): Promise<string> {
  const folder = dirname(model);
  const path = join(folder, location);
  if (location === '' || isAbsolute(location) || leaves(relative(folder, path))) {
    throw new UserError(
      `${where}: expected external data inside the folder of the model, ${folder}, got location ${JSON.stringify(location)}`,
    );
  }
  return requireInside(path, roots).catch((cause: NodeJS.ErrnoException) => {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${where}: its numbers are in ${path}, which cannot be read (${cause.code}); copy it there`, {
      cause,
    });
  });
}
