/** The stack machine that a pickle is a program for: its stack, its marks, what it keeps, and its bounds. */
import type { Bytes } from '../../../onnx/file/wire.js';
import { asArray, type Global, isBuildable, kindOf, PickleError, Span, type Value } from './values.js';

/** What a pickle may name: undefined is refused. */
export type Globals = (name: string) => Global | undefined;

export interface PickleOptions {
  globals: Globals;
  /** What a persistent id stands for; refused if absent. */
  persistent?: (id: Value) => Value;
}

/** AlexNet's state dict has some 400, a network of a thousand layers some 50,000. */
const MAX_INSTRUCTIONS = 2_000_000;
/** Of text and names that are made into strings. */
const MAX_TEXT_BYTES = 256 * 2 ** 20;
/** A line of protocol 0, and the bytes of a long integer. */
export const MAX_LINE_BYTES = 4096;

const LINE_FEED = 0x0a;

export class Machine {
  private readonly stack: Value[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, Value>();
  private spent = 0;
  private text = 0;

  constructor(
    private readonly source: Bytes,
    public at: number,
    private readonly end: number,
    readonly options: PickleOptions,
  ) {}

  spend(count: number): void {
    this.spent += count;
    if (this.spent > MAX_INSTRUCTIONS) throw new PickleError(`expected at most ${MAX_INSTRUCTIONS} instructions`);
  }

  byte(): number {
    return this.source.byte(this.skip(1).start);
  }

  /** @returns  where the next bytes lie */
  skip(length: number): Span {
    const span = new Span(this.at, this.at + length);
    if (span.end > this.end) {
      throw new PickleError(`cut short: expected ${length} bytes at byte ${this.at}, the end is at ${this.end}`);
    }
    this.at = span.end;
    return span;
  }

  bytes(length: number): Buffer {
    return this.bytesOf(this.skip(length));
  }

  private bytesOf({ start, end }: Span): Buffer {
    const bytes = this.source.bytes(start, end);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** A little-endian number without sign. */
  count(bytes: 1 | 2 | 4 | 8): number {
    if (bytes < 8) return this.bytes(bytes).readUIntLE(0, bytes);
    const value = Number(this.bytes(8).readBigUInt64LE());
    if (value > this.end) throw new PickleError(`cut short: expected ${value} bytes, the end is at ${this.end}`);
    return value;
  }

  string(length: number, encoding: 'utf8' | 'latin1'): string {
    const span = this.skip(length);
    this.text += length;
    if (this.text > MAX_TEXT_BYTES) throw new PickleError(`expected at most ${MAX_TEXT_BYTES} bytes of text`);
    return this.bytesOf(span).toString(encoding);
  }

  /** Bytes before a line feed, which is passed over. */
  line(): string {
    const start = this.at;
    for (let length = 0; length <= MAX_LINE_BYTES; length++) {
      if (this.byte() !== LINE_FEED) continue;
      this.at = start;
      const text = this.string(length, 'utf8');
      this.skip(1);
      return text;
    }
    throw new PickleError(`expected a line of at most ${MAX_LINE_BYTES} bytes at byte ${start}`);
  }

  push(value: Value): void {
    this.stack.push(value);
  }

  pop(): Value {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw new PickleError(`nothing on the stack at byte ${this.at}`);
    return this.stack.pop()!;
  }

  top(): Value {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  popToMark(): Value[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new PickleError(`no mark on the stack at byte ${this.at}`);
    return this.stack.splice(mark);
  }

  popSome(count: number): Value[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  keep(index: number): void {
    this.memo.set(index, this.top());
  }

  keepNext(): void {
    this.keep(this.memo.size);
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw new PickleError(`nothing kept under ${index} at byte ${this.at}`);
    this.push(value);
  }

  global(name: string): void {
    const found = this.options.globals(name);
    if (!found) throw new PickleError(`names ${name}, which is neither a tensor nor a container; nothing was run`);
    this.push(found);
  }

  persistent(id: Value): void {
    if (!this.options.persistent) throw new PickleError('expected a pickle without references to other records');
    this.push(this.options.persistent(id));
  }

  call(callee: Value, args: Value): void {
    const global = callee as Partial<Global>;
    if (typeof global?.call !== 'function') throw new PickleError(`cannot build ${kindOf(callee)}`);
    const given = asArray(args, `arguments of ${global.name}`);
    this.spend(given.reduce((sum: number, arg) => sum + (Array.isArray(arg) ? arg.length : 0), 0));
    this.push(global.call(given));
  }

  build(state: Value): void {
    const object = this.top();
    if (isBuildable(object)) object.build(state);
    else if (!(object instanceof Map)) throw new PickleError(`cannot give a state to ${kindOf(object)}`);
    // attributes of an OrderedDict, such as versions of layers, are left out
  }

  append(items: Value[]): void {
    const list = asArray(this.top(), 'what is appended to');
    for (const item of items) list.push(item);
  }

  setItems(items: Value[]): void {
    const dictionary = this.top();
    if (!(dictionary instanceof Map)) throw new PickleError(`cannot set items of ${kindOf(dictionary)}`);
    if (items.length % 2 === 1) throw new PickleError(`a key without a value at byte ${this.at}`);
    for (let i = 0; i < items.length; i += 2) dictionary.set(items[i], items[i + 1]);
  }
}
