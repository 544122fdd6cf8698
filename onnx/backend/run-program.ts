/** Runs a compiled program on tensors of the backend. */
import { isIdentity, type TensorData } from '../layout.js';
import type { Tensor } from '../onnxruntime.js';
import type { BufferPool } from './buffer-pool.js';
import type { CompiledProgram } from './compile.js';
import type { TensorRecord } from './record.js';

interface Destination {
  results: readonly TensorRecord[];
  /** Where one is to lie, if it comes in tfjs's order. */
  memory?: ReadonlyMap<TensorRecord, TensorData>;
  pool: BufferPool;
}

/** Gives `results` the values that the program computes from `leaves`. */
export function runProgram(
  { graph, names, layouts, reads, keepsOutputs }: CompiledProgram,
  leaves: readonly TensorRecord[],
  { results, memory, pool }: Destination,
): void {
  const feeds = leaves.flatMap((leaf, i) => (reads[i] ? [[`i${i}`, leaf.fed(keepsOutputs)] as const] : []));
  const sources = results.map(({ source }) => source);
  const given = results.map((record, i) => (isIdentity(layouts[i]) ? memory?.get(record) : undefined));
  let outputs: Record<string, Tensor>;
  try {
    if (!keepsOutputs)
      for (const [i, record] of results.entries()) {
        const length = record.shape.reduce((product, side) => product * side, 1);
        record.setData(given[i] ?? pool.take(record.dtype, length), layouts[i], given[i] !== undefined);
      }
    const fetches = results.map((record, i) => [names[i], keepsOutputs ? null : record.tensor] as const);
    outputs = graph.run(Object.fromEntries(feeds), Object.fromEntries(fetches));
  } catch (error) {
    // Those that have got memory do not have their values.
    for (const [i, record] of results.entries()) record.source = sources[i];
    throw error;
  }
  if (keepsOutputs) for (const [i, record] of results.entries()) record.take(outputs[names[i]], layouts[i], given[i]);
  pool.age();
}
