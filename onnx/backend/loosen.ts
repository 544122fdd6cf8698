/** Finds the attributes whose numbers change from call to call, so that they do not make each step another program. */
import { LRUCache } from 'lru-cache';
import { type Attrs, type DType, type TensorSpec, textOf } from '../kernel-call.js';
import type { TensorData } from '../layout.js';
import { LOOSE } from '../lowerings/loose.js';
import { compilesAlways } from './eager.js';

/** Numbers that one place of a program may take and still have each stored: slices of a fixed few parts. */
const MAX_STORED = 4;

/** What was seen of a kernel on certain shapes: numbers, or that there are too many. */
const seen = new LRUCache<string, Set<string> | 'many'>({ max: 1024 });

const DTYPES = new Map<unknown, DType>([
  [Float32Array, 'float32'],
  [Int32Array, 'int32'],
  [Uint8Array, 'bool'],
]);

/** A call whose numbers are read as an input. */
interface Loosened {
  signature: string;
  attrs: Attrs;
  dtype: DType;
  data: TensorData;
}

/** That form of a call; undefined while its numbers took few values. */
export function loosened(kernel: string, inputs: readonly TensorSpec[], attrs: Attrs): Loosened | undefined {
  const form = compilesAlways() ? undefined : LOOSE[kernel];
  const data = form?.numbers(inputs, attrs);
  if (!data) return undefined;
  const fixed = form!.fixed(inputs, attrs);
  const signature = `${kernel}*${textOf(fixed)}`;
  const key = `${signature}${inputs.map(({ shape }) => `[${shape}]`)}[${data.length}]`;
  if (!isLoose(key, data)) return undefined;
  return { signature, attrs: fixed, dtype: DTYPES.get(data.constructor)!, data };
}

function isLoose(key: string, data: TensorData): boolean {
  const values = seen.get(key) ?? new Set<string>();
  if (values === 'many') return true;
  values.add(`${data}`);
  seen.set(key, values.size > MAX_STORED ? 'many' : values);
  return values.size > MAX_STORED;
}
