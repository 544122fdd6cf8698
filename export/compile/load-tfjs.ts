/**
 * Reads a TensorFlow.js model from files: `model.json` with its weight shards next to it, as the converter and
 * `model.save` write it.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';

/** Bytes of one value as stored; quantised groups are stored narrower. */
const STORED_BYTES: Record<string, number> = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 };

/**
 * @param path  of a `model.json` in format `layers-model`
 * @throws {UserError} if a file is missing, damaged, cut short or of the other format, and for layers that are not
 *   registered
 */
export async function loadLayersModelFile(path: string): Promise<tfl.LayersModel> {
  const artifacts = await readArtifacts(path, 'layers-model', '--graph-model');
  try {
    const modelTopology = withoutInitializers(artifacts.modelTopology as object) as object;
    return await tfl.loadLayersModel({ load: async () => ({ ...artifacts, modelTopology }) });
  } catch (cause) {
    const { message } = cause as Error;
    const layer = /Unknown layer: (\S+?)\./.exec(message)?.[1];
    throw new UserError(
      layer
        ? `${path}: layer class ${layer} is not known; register it with tf.serialization.registerClass and call exportOnnx from "alexnet/export"`
        : `${path}: cannot be built: ${message}`,
      { cause },
    );
  }
}

/**
 * @param path  of a `model.json` in format `graph-model`
 * @throws {UserError} if a file is missing, damaged, cut short or of the other format, and for operators the converter
 *   does not know
 */
export async function loadGraphModelFile(path: string): Promise<GraphModel> {
  const artifacts = await readArtifacts(path, 'graph-model', '--layers-model');
  try {
    return await tfc.loadGraphModel({ load: async () => artifacts });
  } catch (cause) {
    throw new UserError(`${path}: cannot be built: ${(cause as Error).message}`, { cause });
  }
}

/** Weights drawn at random would be overwritten at once, some after a factorisation that takes minutes. */
function withoutInitializers(topology: unknown): unknown {
  if (Array.isArray(topology)) return topology.map(withoutInitializers);
  if (topology === null || typeof topology !== 'object') return topology;
  return Object.fromEntries(
    Object.entries(topology).map(([key, value]) => [
      key,
      key.endsWith('_initializer') && value ? { class_name: 'Zeros', config: {} } : withoutInitializers(value),
    ]),
  );
}

async function readArtifacts(path: string, format: string, otherFlag: string): Promise<tf.io.ModelArtifacts> {
  const json = await readJson(path);
  if (!json.modelTopology || !Array.isArray(json.weightsManifest))
    throw new UserError(`${path}: not a TensorFlow.js model: expected the keys modelTopology and weightsManifest`);
  if (json.format && json.format !== format)
    throw new UserError(`${path}: format ${json.format}; give it with ${otherFlag}`);
  return tf.io.getModelArtifactsForJSON(json, async (manifest) => {
    const specs = tf.io.getWeightSpecs(manifest);
    const shards = await Promise.all(manifest.flatMap(({ paths }) => paths).map((name) => readShard(path, name)));
    const data = Uint8Array.from(Buffer.concat(shards));
    const expected = specs.reduce((sum, spec) => sum + storedBytes(spec), 0);
    if (data.length < expected)
      throw new UserError(`${path}: weights cut short: expected ${expected} bytes in the shards, got ${data.length}`);
    return [specs, data.buffer];
  });
}

function storedBytes({ shape, dtype, quantization }: tf.io.WeightsManifestEntry): number {
  const bytes = STORED_BYTES[quantization?.dtype ?? dtype] ?? 0; // strings say their lengths themselves
  return shape.reduce((product, length) => product * length, bytes);
}

async function readJson(path: string): Promise<tf.io.ModelJSON> {
  requireFile(path);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such file' : cause.message;
    throw new UserError(`${path}: ${reason}; expected the model.json of a TensorFlow.js model`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path}: not JSON, so cut short or no TensorFlow.js model`, { cause });
  }
}

async function readShard(path: string, name: string): Promise<Uint8Array> {
  const file = join(dirname(path), name);
  requireFile(file);
  return readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${file}: ${cause.code === 'ENOENT' ? 'missing, though model.json names it' : cause.message}`, {
      cause,
    });
  });
}
