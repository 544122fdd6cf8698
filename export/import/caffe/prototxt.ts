/**
 * Reads protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec), as Caffe's `.prototxt` files are
 * written, into a message of the schema. Fields that the schema does not know are passed over.
 */
import type protobuf from 'protobufjs/light.js';
import { UserError } from '../../../base/errors.js';
import { typeOf } from './schema.js';

type Scalar = string;
/** Values of a field in the order they stand. */
type Fields = Map<string, (Scalar | Fields)[]>;

/** Comments, text in quotes, braces and signs, and words: names and numbers. */
const TOKEN = /#[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}<>[\]:;,]|[^\s{}<>[\]:;,"'#]+/y;
const MAX_DEPTH = 20;

/** @throws {UserError} naming the line that is not of the format */
export function parsePrototxt(path: string, text: string, type: protobuf.Type): protobuf.Message {
  const tokens = tokensOf(path, text);
  const fields = new Reader(path, tokens).message(0, '');
  try {
    return type.fromObject(objectOf(fields, type));
  } catch (cause) {
    throw new UserError(`${path}: ${(cause as Error).message}`, { cause });
  }
}

interface Token {
  text: string;
  line: number;
}

function tokensOf(path: string, text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text[at])) {
      line += text[at] === '\n' ? 1 : 0;
      at += 1;
      continue;
    }
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) throw new UserError(`${path}: line ${line}: expected a quote to be closed`);
    if (!found.startsWith('#')) tokens.push({ text: found, line });
    at += found.length;
  }
  return tokens;
}

class Reader {
  private at = 0;

  constructor(
    private readonly path: string,
    private readonly tokens: Token[],
  ) {}

  /** @param end  what closes the message: a bracket, nothing for the file */
  message(depth: number, end: string): Fields {
    if (depth > MAX_DEPTH) throw this.unexpected(`at most ${MAX_DEPTH} messages in each other`);
    const fields: Fields = new Map();
    while (this.peek() !== end) {
      const name = this.next();
      if (!/^[A-Za-z_]\w*$/.test(name)) throw this.unexpected('the name of a field', -1);
      const values = fields.get(name) ?? [];
      fields.set(name, values);
      this.values(values, depth);
      while (this.peek() === ';' || this.peek() === ',') this.next();
    }
    if (end !== '') this.next();
    return fields;
  }

  private values(values: (Scalar | Fields)[], depth: number): void {
    const hasColon = this.peek() === ':';
    if (hasColon) this.next();
    if (this.peek() !== '[') {
      values.push(this.value(depth, hasColon));
      return;
    }
    this.next();
    while (this.peek() !== ']') {
      values.push(this.value(depth, true));
      if (this.peek() === ',') this.next();
    }
    this.next();
  }

  private value(depth: number, allowsScalar: boolean): Scalar | Fields {
    const token = this.next();
    if (token === '{') return this.message(depth + 1, '}');
    if (token === '<') return this.message(depth + 1, '>');
    if (!allowsScalar || /^[}>[\]:;,]$/.test(token)) throw this.unexpected('a value', -1);
    return /^["']/.test(token) ? unquoted(token) : token;
  }

  /** Empty at the end. */
  private peek(): string {
    return this.tokens[this.at]?.text ?? '';
  }

  private next(): string {
    const token = this.tokens[this.at];
    if (!token) throw this.unexpected('more', 0);
    this.at += 1;
    return token.text;
  }

  private unexpected(what: string, ahead = 0): UserError {
    const { text, line } = this.tokens[this.at + ahead] ?? { text: 'the end', line: this.tokens.at(-1)?.line ?? 1 };
    return new UserError(`${this.path}: line ${line}: expected ${what}, got ${text.slice(0, 40)}`);
  }
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/g, '$1');
}

/** As protobufjs takes objects: a repeated field is an array, of the others the last value counts. */
function objectOf(fields: Fields, type: protobuf.Type): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [name, values] of fields) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name].resolve() : undefined;
    if (!field) continue;
    const isMessage = field.resolvedType !== null && 'fields' in field.resolvedType;
    const read = values.map((value) => {
      if (isMessage !== value instanceof Map) throw new Error(`${name}: expected ${isMessage ? '{ … }' : 'a value'}`);
      return value instanceof Map ? objectOf(value, typeOf(field.type)) : scalarOf(value, field);
    });
    object[name] = field.repeated ? read : read.at(-1);
  }
  return object;
}

function scalarOf(text: Scalar, { name, type, resolvedType }: protobuf.Field): unknown {
  if (type === 'string') return text;
  if (type === 'bool') return text === 'true' || text === '1';
  if (resolvedType && 'values' in resolvedType) {
    // One that the schema leaves out is of no layer that matters here.
    return Object.hasOwn(resolvedType.values, text) ? resolvedType.values[text] : (resolvedType.values.NONE ?? 0);
  }
  const number = Number(text.replace(/f$/, ''));
  if (Number.isFinite(number)) return number;
  throw new Error(`${name}: expected a number, got ${text.slice(0, 40)}`);
}
