/**
 * Reads protobuf's text format and checks it against the fields of Triton's `ModelConfig` that a configuration of ours
 * may have. Source: triton-inference-server/common, protobuf/model_config.proto.
 */
import assert from 'node:assert/strict';

export type Value = string | number | boolean | Message | Value[];
export type Message = { [field: string]: Value };

/**
 * Scalars as the schema names them, enums as their values, messages as their fields; `repeated` where there may be
 * several.
 */
type Type = 'string' | 'int' | 'bool' | readonly string[] | Fields;
type Fields = { readonly [field: string]: Type | { repeated: Type } };

const DATA_TYPE = ['TYPE_UINT8', 'TYPE_FP16', 'TYPE_FP32', 'TYPE_INT64', 'TYPE_STRING'] as const;
const MODEL_CONFIG = {
  name: 'string',
  backend: 'string',
  default_model_filename: 'string',
  max_batch_size: 'int',
  input: {
    repeated: {
      name: 'string',
      data_type: DATA_TYPE,
      format: ['FORMAT_NONE', 'FORMAT_NHWC', 'FORMAT_NCHW'],
      dims: { repeated: 'int' },
    },
  },
  output: {
    repeated: { name: 'string', data_type: DATA_TYPE, dims: { repeated: 'int' }, label_filename: 'string' },
  },
  dynamic_batching: { preferred_batch_size: { repeated: 'int' }, max_queue_delay_microseconds: 'int' },
  instance_group: { repeated: { count: 'int', kind: ['KIND_AUTO', 'KIND_GPU', 'KIND_CPU', 'KIND_MODEL'] } },
  model_warmup: {
    repeated: {
      name: 'string',
      batch_size: 'int',
      // A map: of its entries.
      inputs: {
        repeated: { key: 'string', value: { data_type: DATA_TYPE, dims: { repeated: 'int' }, zero_data: 'bool' } },
      },
    },
  },
} as const satisfies Fields;

/**
 * @returns the configuration: fields that may stand once as their value, `repeated` ones as a list; fails where the
 *   schema has not what it says
 */
export function readConfig(text: string): Message {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[A-Za-z_][\w]*|-?\d+|[{}[\]:,]/g)!;
  assert.equal(tokens.join('').length, text.replace(/"[^"]*"|\s/g, (match) => (match[0] === '"' ? match : '')).length);
  const config = readMessage(tokens, MODEL_CONFIG, 'ModelConfig');
  assert.equal(tokens.length, 0);
  return config;
}

/** Fields up to the closing brace or the end; takes the tokens it reads. */
function readMessage(tokens: string[], fields: Fields, where: string): Message {
  const message: Message = {};
  while (tokens.length > 0 && tokens[0] !== '}') {
    const name = tokens.shift()!;
    const type = fields[name];
    assert.ok(type !== undefined, `${where} has no field ${name}`);
    if (tokens[0] === ':') tokens.shift();
    if (typeof type === 'object' && 'repeated' in type) {
      message[name] ??= [];
      const list = message[name] as Value[];
      if (tokens[0] !== '[') list.push(readValue(tokens, type.repeated as Type, `${where}.${name}`));
      else {
        do {
          tokens.shift(); // [ or ,
          list.push(readValue(tokens, type.repeated as Type, `${where}.${name}`));
        } while ((tokens[0] as string) === ',');
        assert.equal(tokens.shift(), ']');
      }
    } else {
      assert.ok(!(name in message), `${where}.${name} stands more than once`);
      message[name] = readValue(tokens, type as Type, `${where}.${name}`);
    }
  }
  return message;
}

function readValue(tokens: string[], type: Type, where: string): Value {
  const token = tokens.shift()!;
  if (type === 'string') {
    assert.match(token, /^"/, where);
    return JSON.parse(token) as string;
  }
  if (type === 'int') {
    assert.match(token, /^-?\d+$/, where);
    return Number(token);
  }
  if (type === 'bool') {
    assert.match(token, /^(true|false)$/, where);
    return token === 'true';
  }
  if (Array.isArray(type)) {
    assert.ok(type.includes(token), `${where}: ${token}`);
    return token;
  }
  assert.equal(token, '{', where);
  const message = readMessage(tokens, type as Fields, where);
  assert.equal(tokens.shift(), '}', where);
  return message;
}
