/**
 * The named tensors of what was saved: a state dict, one under a name such as `state_dict`, or a whole module, whose
 * parameters get the names that its state dict would have.
 */
import { UserError } from '../../../base/errors.js';
import { type FloatType, type StoredTensor, sizeOf, toFloat32 } from '../../../onnx/file/stored-tensor.js';
import { Instance, kindOf, type Value } from '../pickle/values.js';
import type { SourceLrn } from '../source.js';
import type { TorchFile } from './torch-file.js';
import { STORAGE_BYTES, Tensor } from './torch-globals.js';

/** What people call the weights in a checkpoint. */
const WEIGHTS_KEYS = ['state_dict', 'model_state_dict', 'model_state', 'model', 'net', 'network', 'weights', 'params'];

/** Wrappers put these in front of every name: `DataParallel`, Lightning, `torch.compile`. */
const PREFIX = /^(module|model|net|network|_orig_mod)\./;

const FLOATS: Record<string, FloatType> = { Double: 'F64', Float: 'F32', Half: 'F16', BFloat16: 'BF16' };

/** Against files whose parts hold each other: AlexNet has 16 tensors, 3 deep. */
const MAX_DEPTH = 64;
const MAX_VISITS = 1_000_000;
const MAX_NAME = 1000;

/** Weights and, of a module that was saved whole, constants of its response normalisations, in order. */
export interface TorchWeights {
  tensors: StoredTensor[];
  lrns: SourceLrn[];
}

/** @throws {UserError} if there are none, saying what there is */
export function weightsOf(path: string, file: TorchFile): TorchWeights {
  const root = rootOf(file.value);
  const found = new Walk(path, file);
  if (root) found.visit(root, '', 0);
  const { tensors, lrns } = found;
  if (tensors.length > 0) return { tensors: withoutPrefixes(tensors), lrns };
  const keys = file.value instanceof Map ? [...file.value.keys()].map((key) => kindOf(key)) : [];
  const what = keys.length > 0 ? `a dictionary of ${keys.slice(0, 20).join(', ')}` : kindOf(file.value);
  throw new UserError(
    `${path}: expected a state dict, one under "state_dict" or "model", or a whole module; got ${what}`,
  );
}

function rootOf(value: Value): Map<Value, Value> | Instance | undefined {
  if (value instanceof Instance) return value;
  if (!(value instanceof Map)) return undefined;
  const under = WEIGHTS_KEYS.map((key) => value.get(key));
  const found = under.find((item) => item instanceof Map || item instanceof Instance);
  if (found) return found as Map<Value, Value> | Instance;
  return [...value.values()].some((item) => item instanceof Tensor) ? value : undefined;
}

class Walk {
  readonly tensors: StoredTensor[] = [];
  readonly lrns: SourceLrn[] = [];
  private visits = 0;

  constructor(
    private readonly path: string,
    private readonly file: TorchFile,
  ) {}

  visit(value: Value, name: string, depth: number): void {
    this.visits += 1;
    if (depth > MAX_DEPTH || this.visits > MAX_VISITS || name.length > MAX_NAME) {
      throw new UserError(`${this.path}: ${name.slice(0, 60)}: nested too deep, or without an end`);
    }
    if (value instanceof Tensor) this.tensors.push(storedTensor(this.path, this.file, name, value));
    else if (value instanceof Instance) this.visitModule(value, name, depth);
    else if (value instanceof Map) this.visitItems(value, name, depth);
  }

  private visitItems(items: Map<Value, Value>, name: string, depth: number): void {
    for (const [key, item] of items) {
      if (typeof key === 'string' || typeof key === 'number')
        this.visit(item, name ? `${name}.${key}` : `${key}`, depth + 1);
    }
  }

  /** TorchScript's objects have parameters and modules among their attributes. */
  private visitModule({ className, state }: Instance, name: string, depth: number): void {
    if (!(state instanceof Map)) return;
    const parts = ['_parameters', '_buffers', '_modules'].map((part) => state.get(part));
    if (parts.every((part) => part === undefined)) {
      this.visitItems(state, name, depth);
      return;
    }
    if (/\.LocalResponseNorm$/.test(className)) this.addLrn(state);
    for (const part of parts) if (part instanceof Map) this.visitItems(part, name, depth);
  }

  private addLrn(state: Map<Value, Value>): void {
    const [size, alpha, beta, bias] = ['size', 'alpha', 'beta', 'k'].map((key) => Number(state.get(key)));
    this.lrns.push({ size, alpha, beta, bias });
  }
}

function withoutPrefixes(tensors: StoredTensor[]): StoredTensor[] {
  const prefix = PREFIX.exec(tensors[0].name)?.[0];
  if (prefix === undefined || !tensors.every(({ name }) => name.startsWith(prefix))) return tensors;
  return withoutPrefixes(tensors.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) })));
}

function storedTensor(path: string, { read }: TorchFile, name: string, tensor: Tensor): StoredTensor {
  const { storage, dims } = tensor;
  const where = `${path}: ${name}`;
  return {
    name,
    dims,
    read: async () => {
      const type = FLOATS[storage.type];
      if (type === undefined) throw new UserError(`${where}: expected floats, got ${storage.type}`);
      const bytes = STORAGE_BYTES[storage.type];
      const [first, count] = [storage.offset + tensor.offset, reach(tensor)];
      if (tensor.offset + count > storage.length) {
        throw new UserError(
          `${where}: expected ${tensor.offset + count} numbers in its storage, got ${storage.length}`,
        );
      }
      const numbers = toFloat32(where, await read(storage, first * bytes, (first + count) * bytes), type, [count]);
      return rowMajor(where, numbers, tensor);
    },
  };
}

/** Numbers of the storage from a tensor's first to its last. */
function reach({ dims, strides }: Tensor): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((sum, length, axis) => sum + (length - 1) * strides[axis], 1);
}

function rowMajor(where: string, numbers: Float32Array, { dims, strides }: Tensor): Float32Array {
  const size = sizeOf(dims);
  let step = 1;
  const isRowMajor = dims.toReversed().every((length, i) => {
    const expected = step;
    step *= length;
    return length === 1 || strides[dims.length - 1 - i] === expected;
  });
  if (isRowMajor) return numbers;
  // A view may repeat numbers, as `expand` makes it; weights do not.
  if (size > numbers.length)
    throw new UserError(`${where}: expected ${size} numbers of its own, got ${numbers.length}`);
  const turned = new Float32Array(size);
  const place = dims.map(() => 0);
  for (let i = 0, at = 0; i < size; i++) {
    turned[i] = numbers[at];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      place[axis] += 1;
      at += strides[axis];
      if (place[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      place[axis] = 0;
    }
  }
  return turned;
}
