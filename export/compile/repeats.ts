/** Random numbers in a program, which a file would keep one draw of: a program is traced twice, and has to be the same. */
import { UserError } from '../../base/errors.js';
import type { KernelCall, Operand } from '../../onnx/kernel-call.js';
import type { Trace } from './trace.js';

/** @throws {UserError} naming where the second trace, of the same lengths, reads numbers that the first did not */
export function checkRepeats(first: Trace, again: Trace): void {
  first.calls.forEach((call, i) => {
    const other = again.calls[i] as KernelCall | undefined;
    const same =
      call.signature === other?.signature && call.inputs.every((input, at) => isSame(input, other.inputs[at]));
    if (!same) throw differs(call.scope || call.kernel, call.kernel);
  });
  first.outputs.forEach((output, i) => {
    if (!isSame(output, again.outputs[i])) throw differs(`output ${i}`, 'it');
  });
}

const differs = (where: string, what: string) =>
  new UserError(
    `${where}: the program draws random numbers, or reads what changes from call to call: ${what} gets other numbers ` +
      'each time, and a file would keep one draw of them; give them to the program as an input, or a seed',
  );

/** Computed alike, or the same stored numbers. */
function isSame(a: Operand | undefined, b: Operand | undefined): boolean {
  if (a === b || !a || !b || a.source || b.source) return !a === !b && !a?.source === !b?.source;
  const [values, others] = [a.data, b.data];
  if (!values || !others || values === others) return values === others;
  if (values.length !== others.length) return false;
  for (let i = 0; i < values.length; i++) if (!Object.is(values[i], others[i])) return false;
  return true;
}
