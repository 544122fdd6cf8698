/**
 * A model ready to be written, and the writing: to memory, or to a file with its large tensors inside or next to it.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { moveFile, writeChunks } from '../../base/atomic-file.js';
import { UserError } from '../../base/errors.js';
import { folderError, makeFolder } from '../../base/make-folder.js';
import { checkReplaceable, startOf } from '../../base/replaceable.js';
import { valuesOf } from '../graph.js';
import { LOOP_BEGIN } from '../lowerings/loop.js';
import {
  byteLength,
  type ExternalData,
  encodeChunks,
  encodeModel,
  type ModelParts,
  rawBytes,
  storedTensors,
} from './proto.js';

/** Protobuf's limit for one message, and so for a file that holds its tensors. */
const LARGEST_FILE = 2 ** 31 - 1;
/** Tensors of fewer bytes stay in the model file. */
const SMALLEST_EXTERNAL = 1024;
/** Tensors next to the model begin at multiples of a memory page, so that runtimes can map them. */
const PAGE = 4096;

/** An ONNX model. */
export class OnnxModel {
  constructor(readonly parts: ModelParts) {}

  /** Number of nodes by operator, those inside loops too, in the order they are met. */
  get operators(): Record<string, number> {
    const operators: Record<string, number> = {};
    for (const { op } of this.parts.nodes) if (op !== LOOP_BEGIN) operators[op] = (operators[op] ?? 0) + 1;
    return operators;
  }

  /** The bytes of the file; for models of a few megabytes, since all of them are in memory. */
  encode(): Uint8Array {
    return encodeModel(this.parts);
  }

  /** Bytes of the stored tensors. */
  get weightBytes(): number {
    return storedTensors(this.parts).reduce((sum, [, constant]) => sum + byteLength(constant), 0);
  }
}

/** How to write. */
export interface SaveOptions {
  /** Tensors of 1 KiB and more go to `FILE.data` next to the file. Default: if the file would pass protobuf's 2 GB. */
  externalData?: boolean;
  /**
   * Called with the path of the written file before it takes its place; what it throws stops the export.
   * @returns metadata for the file to state in place of the model's, if any
   */
  check?: (file: string) => Promise<ModelParts['metadata']>;
}

/** What was written. */
export interface SavedModel {
  file: string;
  /** File of the tensors, if they are kept outside. */
  dataFile?: string;
  /** Of both files. */
  bytes: number;
  /** SHA-256 of the model file, hex. */
  sha256: string;
}

/**
 * What stands where a command is to write a model: asked before it computes.
 * @param external  whether tensors go to a file of their own, as in `SaveOptions`
 * @throws {UserError} if a file there was not written by this package
 */
export async function checkModelPlace(file: string, external = false): Promise<void> {
  const what = 'a model file of "alexnet export"';
  await checkReplaceable(file, what, isOwnModel);
  if (!external) return;
  const model = await startOf(file); // all of it, where its tensors are outside
  const isOwnData = () => isOwnModel(model) && model.includes(dataLocation(file));
  await checkReplaceable(join(dirname(file), dataLocation(file)), `the data of ${what}`, isOwnData);
}

/** The field of the IR version has two bytes; the producer's name follows. */
function isOwnModel(start: Buffer): boolean {
  return start.subarray(2).indexOf('\x12\x07alexnet') === 0;
}

/** Name of the file for tensors that are kept outside. */
const dataLocation = (file: string) => `${basename(file)}.data`;

/** Whether tensors go to a file of their own. */
export function isExternal(model: OnnxModel, { externalData }: SaveOptions): boolean {
  return externalData ?? model.weightBytes > LARGEST_FILE;
}

/**
 * Writes a model. Files are written next to their place, checked, and only then take it: what was there before stays as
 * it was when anything fails.
 * @throws {UserError} if `file` cannot be written
 */
export async function saveModel(model: OnnxModel, file: string, options: SaveOptions = {}): Promise<SavedModel> {
  if ((await stat(file).catch(() => undefined))?.isDirectory())
    throw new UserError(`${file}: is a folder; expected a file name such as ${join(file, 'model.onnx')}`);
  const folder = dirname(resolve(file));
  await makeFolder(folder);
  const temporary = await mkdtemp(join(folder, `.${basename(file)}.`)).catch((error) => {
    throw folderError(folder, error);
  });
  try {
    const external = isExternal(model, options) && externalData(model.parts, file);
    const data = external && (await writeChunks(join(temporary, external.location), dataChunks(model.parts, external)));
    const written = join(temporary, basename(file));
    const writeModel = (parts: ModelParts) => writeChunks(written, encodeChunks(parts, external || undefined));
    let { bytes, sha256 } = await writeModel(model.parts);
    const metadata = await options.check?.(written);
    if (metadata) ({ bytes, sha256 } = await writeModel({ ...model.parts, metadata }));
    if (external) await moveFile(join(temporary, external.location), join(folder, external.location));
    await moveFile(written, file);
    if (!external || !data) return { file, bytes, sha256 };
    return { file, bytes: bytes + data.bytes, sha256, dataFile: join(dirname(file), external.location) };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function externalData(parts: ModelParts, file: string): ExternalData {
  const offsets = new Map<string, number>();
  let end = 0;
  for (const [name, constant] of storedTensors(parts)) {
    const length = byteLength(constant);
    if (length < SMALLEST_EXTERNAL) continue;
    const offset = Math.ceil(end / PAGE) * PAGE;
    offsets.set(name, offset);
    end = offset + length;
  }
  return { location: dataLocation(file), offsets };
}

function* dataChunks(parts: ModelParts, { offsets }: ExternalData): Generator<Uint8Array> {
  let at = 0;
  for (const [name, constant] of storedTensors(parts)) {
    const offset = offsets.get(name);
    if (offset === undefined) continue;
    yield new Uint8Array(offset - at);
    const bytes = rawBytes(constant.dtype, valuesOf(constant));
    yield bytes;
    at = offset + bytes.length;
  }
}
