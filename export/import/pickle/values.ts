/** What a pickle can hold here: plain values, containers and records. Nothing in a file names code that is run. */

/** Bytes that stay in the source until they are asked for; positions are the source's. */
export class Span {
  constructor(
    readonly start: number,
    readonly end: number,
  ) {}
}

/** Sets an object's state, as pickle's BUILD does. */
export interface Buildable {
  build(state: Value): void;
}

/** An object of a class that is known by name only: its state, without its behaviour. */
export class Instance implements Buildable {
  state: Value = null;

  constructor(readonly className: string) {}

  build(state: Value): void {
    this.state = state;
  }
}

/** What a file calls by name. Without `call` it is only a name. */
export class Global {
  /**
   * @param call  what the name gives for arguments; it makes values and does nothing else
   */
  constructor(
    readonly name: string,
    readonly call?: (args: Value[]) => Value,
  ) {}
}

/** Lists, tuples and sets are arrays; a dictionary's keys may be anything. */
export type Value = null | boolean | number | bigint | string | Span | Global | Buildable | Value[] | Map<Value, Value>;

/** What is wrong with a pickle; the caller adds the file. */
export class PickleError extends Error {
  override name = 'PickleError';
}

export function isBuildable(value: Value): value is Buildable {
  return typeof value === 'object' && value !== null && 'build' in value;
}

/** @throws {PickleError} */
export function asArray(value: Value, what: string): Value[] {
  if (Array.isArray(value)) return value;
  throw new PickleError(`expected ${what} to be a list, got ${kindOf(value)}`);
}

/** Whole numbers of 0 or more that are exact. @throws {PickleError} */
export function asCount(value: Value, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new PickleError(`expected ${what} to be a whole number, got ${kindOf(value)}`);
}

/** @throws {PickleError} */
export function asCounts(value: Value, what: string): number[] {
  return asArray(value, what).map((length) => asCount(length, what));
}

/** For people. */
export function kindOf(value: Value | undefined): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a dictionary';
  if (value instanceof Global) return value.name;
  if (value instanceof Instance) return `a ${value.className}`;
  return typeof value === 'object' ? `a ${value.constructor.name}` : `${value}`.slice(0, 40);
}
