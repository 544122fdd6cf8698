/** A recorded call that is still to be computed. What names it in a program is made when it is asked for, if ever. */
import { type Attrs, type DType, type KernelCall, type TensorSpec, textOf } from '../kernel-call.js';
import type { TensorData } from '../layout.js';
import { loosened } from './loosen.js';
import type { TensorRecord } from './record.js';

/** Makes a tensor of numbers that a call reads. */
type LeafOf = (dtype: DType, data: TensorData) => TensorRecord;

interface PendingCallParts {
  kernel: string;
  inputs: readonly (TensorRecord | undefined)[];
  attrs: Attrs;
  outputs: readonly TensorSpec[];
  results: TensorRecord[];
  scope: string;
}

export class PendingCall implements KernelCall {
  readonly kernel: string;
  readonly inputs: readonly (TensorRecord | undefined)[];
  readonly attrs: Attrs;
  readonly outputs: readonly TensorSpec[];
  readonly results: TensorRecord[];
  readonly scope: string;
  private text?: string;
  private form: KernelCall['loose'] | 'unknown' = 'unknown';

  /** @param leafOf  absent if numbers among its attributes stay there */
  constructor(
    { kernel, inputs, attrs, outputs, results, scope }: PendingCallParts,
    private readonly leafOf?: LeafOf,
  ) {
    this.kernel = kernel;
    this.inputs = inputs;
    this.attrs = attrs;
    this.outputs = outputs;
    this.results = results;
    this.scope = scope;
  }

  get signature(): string {
    this.text ??= `${this.kernel}${textOf(this.attrs)}`;
    return this.text;
  }

  get loose(): KernelCall['loose'] {
    if (this.form !== 'unknown') return this.form;
    const form = this.leafOf && loosened(this.kernel, this.inputs as readonly TensorSpec[], this.attrs);
    this.form = form && { ...form, numbers: this.leafOf!(form.dtype, form.data) };
    return this.form;
  }
}
