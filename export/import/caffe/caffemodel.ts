/**
 * Caffe's `.caffemodel`: a `NetParameter` with weights. Windows, groups and constants are those of its own layers or,
 * where it has none, of the network's `.prototxt` next to it.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type protobuf from 'protobufjs/light.js';
import { UserError } from '../../../base/errors.js';
import { requireFile } from '../../../base/require-file.js';
import type { Source } from '../source.js';
import { layersOf, saysStructure, sourceOfNet } from './caffe-net.js';
import { parsePrototxt } from './prototxt.js';
import { type LayerMessage, NET, type NetMessage } from './schema.js';

/** Node reads no larger file at once. */
const MAX_BYTES = 2 ** 31 - 1;

/** @throws {UserError} if it is damaged, has no weights, or none of the layers that a network here can have */
export async function openCaffemodel(path: string): Promise<Source> {
  const net = decode<NetMessage>(path, NET, await readWhole(path));
  const layers = layersOf(path, net);
  const weights = new Map(layers.map(({ name, blobs }) => [name, blobs]));
  if (![...weights.values()].some((blobs) => blobs.length > 0)) {
    throw new UserError(`${path}: expected a .caffemodel, got a message without weights`);
  }
  const described = saysStructure(layers) ? undefined : await describedNextTo(path);
  if (!described) return sourceOfNet(path, net, layers, weights);
  return sourceOfNet(path, described.net, described.layers, weights);
}

/** The bytes of a file, which protobufjs takes as a whole. @throws {UserError} */
export async function readWhole(path: string): Promise<Buffer> {
  requireFile(path);
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ERR_FS_FILE_TOO_LARGE' ? `larger than ${MAX_BYTES} bytes` : cause.message;
    throw new UserError(`${path}: cannot be read: ${cause.code === 'ENOENT' ? 'no such file' : reason}`, { cause });
  });
  return bytes;
}

/** @throws {UserError} if the bytes are of no such message */
export function decode<T>(path: string, type: protobuf.Type, bytes: Uint8Array): T {
  try {
    return type.decode(bytes) as T;
  } catch (cause) {
    throw new UserError(`${path}: damaged or cut short: expected Caffe's ${type.name}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Names that networks have in BVLC/caffe's models/. */
async function describedNextTo(path: string): Promise<{ net: NetMessage; layers: LayerMessage[] } | undefined> {
  const own = path.replace(/\.caffemodel$/i, '.prototxt');
  const usual = ['deploy.prototxt', 'train_val.prototxt'].map((name) => join(dirname(path), name));
  for (const file of [own, ...usual]) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const net = parsePrototxt(file, text, NET) as unknown as NetMessage;
    return { net, layers: layersOf(file, net) };
  }
  return undefined;
}
