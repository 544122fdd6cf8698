/**
 * PyTorch's tensors in pickles, as data (torch/_utils.py, torch/serialization.py). Modules that were saved whole keep
 * their state and lose their behaviour.
 */
import {
  asArray,
  asCount,
  asCounts,
  type Buildable,
  Global,
  Instance,
  kindOf,
  PickleError,
  type Value,
} from '../pickle/values.js';

/** Names of element types as torch's storages have them. */
export const STORAGE_BYTES: Record<string, number> = {
  Double: 8,
  Float: 4,
  Half: 2,
  BFloat16: 2,
  Long: 8,
  Int: 4,
  Short: 2,
  Char: 1,
  Byte: 1,
  Bool: 1,
  ComplexDouble: 16,
  ComplexFloat: 8,
};

/** Where a tensor's numbers lie. */
export class Storage implements Buildable {
  constructor(
    readonly key: string,
    /** A key of `STORAGE_BYTES`. */
    readonly type: string,
    /** Elements. */
    readonly length: number,
    /** Elements before it in what lies under `key`. */
    readonly offset = 0,
  ) {}

  build(): void {}
}

/** Part of a storage. */
export class Tensor implements Buildable {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly dims: readonly number[],
    readonly strides: readonly number[],
  ) {}

  /** Attributes that a person gave it. */
  build(): void {}
}

const STORAGE = /^torch\.(?:cuda\.)?(\w+)Storage$/;

/** torch's own types, devices and shapes: values that nothing here reads. */
const NAMES =
  /^torch\.(float\d*|double|half|bfloat16|u?int\d+|long|int|short|bool|Tensor|strided|contiguous_format|nn\.parameter\.(Parameter|Buffer))$/;

/** Classes of layers, torchvision's network, and TorchScript's classes, which are made from them. */
const MODULES =
  /^(torch\.nn\.modules\.[\w.]+|torch\.nn\.parallel\.[\w.]+|torchvision\.models\.alexnet\.AlexNet|__torch__\.[\w.$]+)$/;

function tensor([storage = null, offset = null, dims = null, strides = null]: Value[]): Tensor {
  if (!(storage instanceof Storage)) throw new PickleError(`expected a tensor's storage, got ${kindOf(storage)}`);
  const shape = asCounts(dims, 'shape of a tensor');
  const steps = asCounts(strides, 'strides of a tensor');
  if (shape.length !== steps.length)
    throw new PickleError(`a tensor of ${shape.length} axes and ${steps.length} strides`);
  return new Tensor(storage, asCount(offset, 'offset of a tensor'), shape, steps);
}

const first = ([value = null]: Value[]): Value => value;

/** (function, type, arguments, state): the type is a subclass of Tensor. */
function fromType([build = null, , args = null]: Value[]): Value {
  if (build instanceof Global && build.call === tensor) return tensor(asArray(args, 'arguments of a tensor'));
  throw new PickleError(`expected what builds a tensor, got ${kindOf(build)}`);
}

const BY_NAME: Record<string, Global['call']> = {
  'torch._utils._rebuild_tensor': tensor,
  'torch._utils._rebuild_tensor_v2': tensor,
  'torch._utils._rebuild_parameter': first,
  'torch._utils._rebuild_parameter_with_state': first,
  'torch._tensor._rebuild_from_type_v2': fromType,
  'torch.jit._pickle.build_intlist': first,
  'torch.jit._pickle.build_doublelist': first,
  'torch.jit._pickle.build_boollist': first,
  'torch.jit._pickle.build_tensorlist': first,
  'torch.jit._pickle.restore_type_tag': first,
  'torch.Size': first,
  'torch.device': () => null,
};

export function torchGlobals(name: string): Global | undefined {
  if (Object.hasOwn(BY_NAME, name)) return new Global(name, BY_NAME[name]);
  if (MODULES.test(name)) return new Global(name, () => new Instance(name));
  const isStorage = Object.hasOwn(STORAGE_BYTES, STORAGE.exec(name)?.[1] ?? '');
  return isStorage || NAMES.test(name) ? new Global(name) : undefined;
}

/** `Float` of the class `torch.FloatStorage`. */
export function storageType(value: Value): string {
  const type = value instanceof Global ? STORAGE.exec(value.name)?.[1] : undefined;
  if (type !== undefined) return type;
  throw new PickleError(`expected the type of a storage, got ${kindOf(value)}`);
}
