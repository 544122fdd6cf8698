/**
 * Reads Python's pickles (CPython's Lib/pickletools.py, protocols 0 to 5) as data. A pickle is a program for a stack
 * machine that may call whatever it names; here it can name what `PickleOptions.globals` lists and nothing else, and a
 * call makes a value. The machine is a loop, so nesting cannot exhaust the stack of this program; the number of
 * instructions, and with them memory, is bounded.
 */
import type { Bytes } from '../../../onnx/file/wire.js';
import { MAX_LINE_BYTES, Machine, type PickleOptions } from './machine.js';
import { PickleError, type Value } from './values.js';

/** Byte strings up to this length are dictionary keys and the like: text, a character a byte. */
const MAX_SHORT_BYTES = 255;

/**
 * @param start  where the pickle begins in `source`; it ends with its STOP, before `end`
 * @throws {PickleError} if it is damaged, too large, or names something that is not allowed
 */
export function unpickle(
  source: Bytes,
  start: number,
  end: number,
  options: PickleOptions,
): { value: Value; end: number } {
  const machine = new Machine(source, start, end, options);
  for (;;) {
    const { at } = machine;
    const code = machine.byte();
    if (code === STOP) return { value: machine.pop(), end: machine.at };
    machine.spend(1);
    const run = INSTRUCTIONS[code];
    if (!run) throw new PickleError(`expected a pickle's instruction at byte ${at}, got 0x${code.toString(16)}`);
    run(machine);
  }
}

const STOP = 0x2e;

/** A short byte string is text, as names are in Python 2; others stay where they are. */
function byteString(machine: Machine, length: number): Value {
  return length <= MAX_SHORT_BYTES ? machine.string(length, 'latin1') : machine.skip(length);
}

/** Two's complement, little-endian. */
function longInteger(machine: Machine, length: number): number | bigint {
  if (length > MAX_LINE_BYTES) throw new PickleError(`expected an integer of at most ${MAX_LINE_BYTES} bytes`);
  const bytes = machine.bytes(length);
  const digits = Buffer.from(bytes).reverse().toString('hex');
  const value = BigInt.asIntN(8 * length, BigInt(`0x${digits || '0'}`));
  return asNumber(value);
}

const asNumber = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

function decimal(machine: Machine): number | bigint {
  const text = machine.line().replace(/L$/, '');
  if (!/^[+-]?\d+$/.test(text)) throw new PickleError(`expected a whole number, got "${text.slice(0, 40)}"`);
  return asNumber(BigInt(text.replace(/^\+/, '')));
}

function globalOf(machine: Machine): void {
  const [name, module] = [machine.pop(), machine.pop()];
  if (typeof name !== 'string' || typeof module !== 'string') throw new PickleError('expected a name of two strings');
  machine.global(`${module}.${name}`);
}

function dictionary(items: Value[]): Map<Value, Value> {
  return new Map(items.flatMap((key, i) => (i % 2 === 0 ? [[key, items[i + 1] ?? null] as const] : [])));
}

/** Names of instructions as in pickletools. */
const BY_NAME: Record<string, [code: number, run: (machine: Machine) => void]> = {
  // numbers and constants
  NONE: [0x4e, (m) => m.push(null)],
  NEWTRUE: [0x88, (m) => m.push(true)],
  NEWFALSE: [0x89, (m) => m.push(false)],
  INT: [0x49, (m) => m.push(decimal(m))],
  LONG: [0x4c, (m) => m.push(decimal(m))],
  FLOAT: [0x46, (m) => m.push(Number(m.line()))],
  BININT: [0x4a, (m) => m.push(m.bytes(4).readInt32LE())],
  BININT1: [0x4b, (m) => m.push(m.count(1))],
  BININT2: [0x4d, (m) => m.push(m.count(2))],
  BINFLOAT: [0x47, (m) => m.push(m.bytes(8).readDoubleBE())],
  LONG1: [0x8a, (m) => m.push(longInteger(m, m.count(1)))],
  LONG4: [0x8b, (m) => m.push(longInteger(m, m.count(4)))],
  // text and bytes
  STRING: [0x53, (m) => m.push(m.line().slice(1, -1))],
  UNICODE: [0x56, (m) => m.push(m.line())],
  SHORT_BINUNICODE: [0x8c, (m) => m.push(m.string(m.count(1), 'utf8'))],
  BINUNICODE: [0x58, (m) => m.push(m.string(m.count(4), 'utf8'))],
  BINUNICODE8: [0x8d, (m) => m.push(m.string(m.count(8), 'utf8'))],
  SHORT_BINSTRING: [0x55, (m) => m.push(byteString(m, m.count(1)))],
  BINSTRING: [0x54, (m) => m.push(byteString(m, m.count(4)))],
  SHORT_BINBYTES: [0x43, (m) => m.push(byteString(m, m.count(1)))],
  BINBYTES: [0x42, (m) => m.push(byteString(m, m.count(4)))],
  BINBYTES8: [0x8e, (m) => m.push(byteString(m, m.count(8)))],
  BYTEARRAY8: [0x96, (m) => m.push(byteString(m, m.count(8)))],
  // containers
  EMPTY_TUPLE: [0x29, (m) => m.push([])],
  TUPLE1: [0x85, (m) => m.push(m.popSome(1))],
  TUPLE2: [0x86, (m) => m.push(m.popSome(2))],
  TUPLE3: [0x87, (m) => m.push(m.popSome(3))],
  TUPLE: [0x74, (m) => m.push(m.popToMark())],
  EMPTY_LIST: [0x5d, (m) => m.push([])],
  LIST: [0x6c, (m) => m.push(m.popToMark())],
  APPEND: [0x61, (m) => m.append([m.pop()])],
  APPENDS: [0x65, (m) => m.append(m.popToMark())],
  EMPTY_DICT: [0x7d, (m) => m.push(new Map())],
  DICT: [0x64, (m) => m.push(dictionary(m.popToMark()))],
  SETITEM: [0x73, (m) => m.setItems(m.popSome(2))],
  SETITEMS: [0x75, (m) => m.setItems(m.popToMark())],
  EMPTY_SET: [0x8f, (m) => m.push([])],
  ADDITEMS: [0x90, (m) => m.append(m.popToMark())],
  FROZENSET: [0x91, (m) => m.push(m.popToMark())],
  // the stack and what is kept
  MARK: [0x28, (m) => m.mark()],
  POP: [0x30, (m) => void m.pop()],
  POP_MARK: [0x31, (m) => void m.popToMark()],
  DUP: [0x32, (m) => m.push(m.top())],
  PUT: [0x70, (m) => m.keep(Number(decimal(m)))],
  BINPUT: [0x71, (m) => m.keep(m.count(1))],
  LONG_BINPUT: [0x72, (m) => m.keep(m.count(4))],
  MEMOIZE: [0x94, (m) => m.keepNext()],
  GET: [0x67, (m) => m.recall(Number(decimal(m)))],
  BINGET: [0x68, (m) => m.recall(m.count(1))],
  LONG_BINGET: [0x6a, (m) => m.recall(m.count(4))],
  // names, and what is built by them
  GLOBAL: [0x63, (m) => m.global(`${m.line()}.${m.line()}`)],
  STACK_GLOBAL: [0x93, globalOf],
  REDUCE: [0x52, (m) => callOf(m, m.pop())],
  NEWOBJ: [0x81, (m) => callOf(m, m.pop())],
  NEWOBJ_EX: [0x92, callWithoutKeywords],
  BUILD: [0x62, (m) => m.build(m.pop())],
  BINPERSID: [0x51, (m) => m.persistent(m.pop())],
  PERSID: [0x50, (m) => m.persistent(m.line())],
  // framing
  PROTO: [0x80, (m) => void m.skip(1)],
  FRAME: [0x95, (m) => void m.skip(8)],
};

function callOf(machine: Machine, args: Value): void {
  machine.call(machine.pop(), args);
}

/** Named arguments, which nothing that can be built here has. */
function callWithoutKeywords(machine: Machine): void {
  machine.pop();
  callOf(machine, machine.pop());
}

const INSTRUCTIONS: ((machine: Machine) => void)[] = [];
for (const [code, run] of Object.values(BY_NAME)) INSTRUCTIONS[code] = run;
