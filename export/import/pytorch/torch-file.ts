/**
 * Files of `torch.save` and `torch.jit.save` (torch/serialization.py): a ZIP archive with `data.pkl` and a member a
 * storage, or, up to PyTorch 1.5, pickles one after another and the storages behind them.
 */
import { UserError } from '../../../base/errors.js';
import { readRange } from '../../../onnx/file/safetensors.js';
import { FileBytes, inMemory } from '../../../onnx/file/wire.js';
import { numpyGlobals } from '../numpy/numpy-globals.js';
import { containers } from '../pickle/containers.js';
import type { Globals } from '../pickle/machine.js';
import { readPickle } from '../pickle/read-pickle.js';
import { unpickle } from '../pickle/unpickle.js';
import { asArray, asCount, kindOf, PickleError, type Value } from '../pickle/values.js';
import { readMember, type ZipMember } from '../zip.js';
import { STORAGE_BYTES, Storage, storageType, torchGlobals } from './torch-globals.js';

/** What was saved. */
export interface TorchFile {
  value: Value;
  /** Bytes of a storage, counted from its first. @throws {UserError} if the file does not have them */
  read(storage: Storage, from: number, to: number): Promise<Uint8Array>;
}

/** Of `data.pkl`: numbers are not in it. */
const MAX_PICKLE_BYTES = 64 * 2 ** 20;

/** First of the pickles of the older form. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

const GLOBALS: Globals = (name) => torchGlobals(name) ?? containers(name) ?? numpyGlobals(name);

/** The folder in which a ZIP archive has what PyTorch writes; undefined if it is another's. */
export function torchFolder(members: ReadonlyMap<string, ZipMember>): string | undefined {
  return Array.from(members.keys(), (name) => /^(?:.*\/)?(?=data\.pkl$)/.exec(name)?.[0]).find(
    (folder) => folder !== undefined,
  );
}

/** @throws {UserError} if the file is damaged or names something else than tensors and containers */
export async function openZipForm(path: string, members: ReadonlyMap<string, ZipMember>): Promise<TorchFile> {
  const folder = torchFolder(members)!;
  const member = (name: string): ZipMember => {
    const found = members.get(`${folder}${name}`);
    if (found) return found;
    throw new UserError(`${path}: cut short: expected a member ${folder}${name}; save it again`);
  };
  const data = member('data.pkl');
  if (data.size > MAX_PICKLE_BYTES) {
    throw new UserError(`${path}: expected a data.pkl of at most ${MAX_PICKLE_BYTES} bytes, got ${data.size}`);
  }
  if (members.has(`${folder}byteorder`)) {
    const order = Buffer.from(
      await readMember(path, member('byteorder'), 0, Math.min(20, member('byteorder').size)),
    ).toString();
    if (order !== 'little') throw new UserError(`${path}: expected little-endian numbers, got "${order}"`);
  }
  const bytes = await readMember(path, data);
  const { value } = readPickle(path, () =>
    unpickle(inMemory(bytes), 0, bytes.length, { globals: GLOBALS, persistent: storageOf }),
  );
  return { value, read: ({ key }, from, to) => readMember(path, member(`data/${key}`), from, to) };
}

/** True if it begins as the older form does. */
export function isLegacyForm(start: Buffer): boolean {
  return start[0] === 0x80 && start.includes(Buffer.from(MAGIC.toString(16), 'hex').reverse());
}

/** @throws {UserError} as `openZipForm` */
export async function openLegacyForm(path: string): Promise<TorchFile> {
  const file = new FileBytes(path);
  try {
    return readPickle(path, () => readLegacy(path, file));
  } finally {
    file.close();
  }
}

function readLegacy(path: string, file: FileBytes): TorchFile {
  const types = new Map<string, string>();
  const persistent = (id: Value): Value => {
    const value = storageOf(id);
    if (value instanceof Storage) types.set(value.key, value.type);
    return value;
  };
  let at = 0;
  const next = (): Value => {
    const { value, end } = unpickle(file, at, file.size, { globals: GLOBALS, persistent });
    at = end;
    return value;
  };
  const [magic, protocol, system] = [next(), next(), next()];
  if (magic !== MAGIC || protocol !== PROTOCOL) throw new PickleError(`protocol ${kindOf(protocol)}`);
  if (system instanceof Map && system.get('little_endian') === false) throw new PickleError('numbers are big-endian');
  const value = next();
  const places = new Map<string, { start: number; end: number }>();
  for (const name of asArray(next(), 'names of storages')) {
    const type = types.get(String(name));
    if (type === undefined) throw new PickleError(`a storage ${kindOf(name)} that no tensor has`);
    const length = Number(Buffer.from(file.bytes(at, at + 8)).readBigInt64LE());
    const [start, end] = [at + 8, at + 8 + length * STORAGE_BYTES[type]];
    if (length < 0 || end > file.size) {
      throw new UserError(`${path}: cut short: expected ${end} bytes, got ${file.size}; copy it again`);
    }
    places.set(String(name), { start, end });
    at = end;
  }
  const read = async ({ key }: Storage, from: number, to: number): Promise<Uint8Array> => {
    const place = places.get(key);
    if (place && place.start + to <= place.end) return readRange(path, place.start + from, to - from);
    throw new UserError(
      `${path}: storage ${key}: expected ${to} bytes, got ${place ? place.end - place.start : 'none'}`,
    );
  };
  return { value, read };
}

/** ('storage', type, key, place, length[, view]) or, of the older form, ('module', class, file, source). */
function storageOf(id: Value): Value {
  const [what, type = null, key = null, , length = null, view = null] = asArray(id, 'a reference');
  if (what === 'module') return type;
  if (what !== 'storage') throw new PickleError(`expected a reference to a storage, got ${kindOf(what)}`);
  const offset = view === null ? 0 : asCount(asArray(view, 'a view')[1], 'offset of a view');
  return new Storage(String(key), storageType(type), asCount(length, 'length of a storage'), offset);
}
