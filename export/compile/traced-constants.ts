/** What stored tensors of programs that were traced for several lengths have in common. */
import { type Constant, valuesOf } from '../../onnx/graph.js';

/** `[start, step, times]` of start, start, … start + step, …; undefined for other numbers. */
export function countedUp(values: ArrayLike<number>): [start: number, step: number, times: number] | undefined {
  const start = values[0];
  let times = 1;
  while (times < values.length && values[times] === start) times++;
  const step = values[times] - start;
  if (!Number.isInteger(start) || !Number.isInteger(step)) return undefined;
  for (let i = 0; i < values.length; i++) if (values[i] !== start + step * Math.floor(i / times)) return undefined;
  return [start, step, times];
}

/** Same numbers. A weight's name says how it was made, and spares comparing millions of them. */
export function isSame(name: string, a: Constant, otherName: string, b: Constant): boolean {
  if (a.dtype !== b.dtype || a.dims.length !== b.dims.length || a.dims.some((length, axis) => length !== b.dims[axis]))
    return false;
  if (a.weight && a.weight === b.weight && name === otherName) return true;
  const [values, others] = [valuesOf(a), valuesOf(b)];
  for (let i = 0; i < values.length; i++) if (!Object.is(values[i], others[i])) return false;
  return true;
}

/** The numbers at one place along `axis`, if they are the same at all places. */
export function onlyRow(constant: Constant, axis: number): number[] | undefined {
  const values = valuesOf(constant);
  const inner = constant.dims.slice(axis + 1).reduce((product, length) => product * length, 1);
  const length = constant.dims[axis];
  const row: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const place = Math.floor(i / inner) % length;
    const outer = Math.floor(i / inner / length);
    const at = outer * inner + (i % inner);
    if (place === 0) row[at] = values[i];
    else if (!Object.is(row[at], values[i])) return undefined;
  }
  return row;
}
