/** NumPy's arrays in pickles, as data (numpy/_core/src/multiarray/methods.c, `array_reduce` and `array_setstate`). */
import { asArray, asCounts, type Buildable, Global, kindOf, PickleError, Span, type Value } from '../pickle/values.js';

/** `<f4`, `|O`, … */
export class Dtype implements Buildable {
  constructor(public descr: string) {}

  /** (version, byte order, …) */
  build(state: Value): void {
    const [, order] = asArray(state, 'state of a dtype');
    if (typeof order === 'string' && /^[<>=|]$/.test(order))
      this.descr = `${order}${this.descr.replace(/^[<>=|]/, '')}`;
  }
}

export class NdArray implements Buildable {
  descr = '';
  shape: number[] = [];
  /** Column-major. */
  isFortran = false;
  /** Bytes; a letter a byte; or objects. */
  data: Span | string | Value[] = '';

  /** (version, shape, dtype, Fortran order, data) */
  build(state: Value): void {
    const values = asArray(state, 'state of an array');
    const [shape, dtype, isFortran, data] = values.slice(values.length - 4);
    this.set(shape, dtype, isFortran === true || isFortran === 1, data);
  }

  set(shape: Value, dtype: Value, isFortran: boolean, data: Value): this {
    if (!(dtype instanceof Dtype)) throw new PickleError(`expected an array's dtype, got ${kindOf(dtype)}`);
    if (!(data instanceof Span || typeof data === 'string' || Array.isArray(data))) {
      throw new PickleError(`expected an array's data, got ${kindOf(data)}`);
    }
    this.shape = asCounts(shape, 'shape of an array');
    this.descr = dtype.descr;
    this.isFortran = isFortran;
    this.data = data;
    return this;
  }
}

function fromBuffer([data = null, dtype = null, shape = null, order]: Value[]): NdArray {
  return new NdArray().set(shape, dtype, order === 'F', data);
}

const BY_NAME: Record<string, Global['call']> = {
  'numpy.ndarray': undefined,
  'numpy.dtype': ([descr = null]) => {
    if (typeof descr === 'string') return new Dtype(descr);
    throw new PickleError(`expected a name of a dtype, got ${kindOf(descr)}`);
  },
};
for (const core of ['numpy.core', 'numpy._core']) {
  BY_NAME[`${core}.multiarray._reconstruct`] = () => new NdArray();
  BY_NAME[`${core}.multiarray.scalar`] = () => null; // such as the best accuracy in a checkpoint
  BY_NAME[`${core}.numeric._frombuffer`] = fromBuffer;
}

export function numpyGlobals(name: string): Global | undefined {
  return Object.hasOwn(BY_NAME, name) ? new Global(name, BY_NAME[name]) : undefined;
}
