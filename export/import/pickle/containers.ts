/** Containers of Python's standard library that pickles of weights name. */
import { asArray, Global, PickleError, type Value } from './values.js';

function dictionary([pairs = []]: Value[]): Map<Value, Value> {
  const items = pairs instanceof Map ? [...pairs] : asArray(pairs, 'items of a dictionary');
  return new Map(
    items.map((pair) => {
      const [key = null, value = null] = asArray(pair, 'an item of a dictionary');
      return [key, value];
    }),
  );
}

const list = ([items = []]: Value[]): Value[] => asArray(items, 'items of a list');

/** Bytes that Python 3 writes as text of as many letters, for readers older than protocol 3. */
function encode([text, encoding]: Value[]): Value {
  if (typeof text === 'string' && encoding === 'latin1') return text;
  throw new PickleError('expected _codecs.encode of text as latin1');
}

const BUILTINS: Record<string, Global['call']> = { set: list, frozenset: list, list, tuple: list, dict: dictionary };
const BY_NAME: Record<string, Global['call']> = {
  'collections.OrderedDict': dictionary,
  '_codecs.encode': encode,
};
for (const module of ['builtins', '__builtin__']) {
  for (const [name, call] of Object.entries(BUILTINS)) BY_NAME[`${module}.${name}`] = call;
}

export function containers(name: string): Global | undefined {
  return Object.hasOwn(BY_NAME, name) ? new Global(name, BY_NAME[name]) : undefined;
}
