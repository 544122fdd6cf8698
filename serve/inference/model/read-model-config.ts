/**
 * Reads the description next to a model, `config.json`. Either ours, or Hugging Face's (`id2label`, with
 * `preprocessor_config.json`), as its exporter leaves them next to `model.onnx`. Ours may leave the labels to
 * TorchServe's `index_to_name.json`. Loads zod, which takes a server some 50 ms of its start: import it when it is needed.
 */
import { basename, join } from 'node:path';
import type { z } from 'zod';
import { decodeText } from '../../../base/decode-text.js';
import { UserError } from '../../../base/errors.js';
import type { Roots } from '../../../base/links.js';
import { CLASSIFIER_KEY } from '../../../onnx/file/classifier-description.js';
import { InsideConfig, OwnConfig, parse } from '../../../onnx/file/classifier-schema.js';
import { fromHuggingFace } from './hugging-face-files.js';
import { fromIndexToName } from './index-to-name.js';
import { type ModelConfig, sidesOf } from './model-config.js';
import { foldersOf, readJson, readSidecar } from './sidecars.js';

/**
 * @param model  path of the `.onnx` file
 * @param roots  folders in which its files may lie
 * @returns      undefined if there is none
 * @throws {UserError} if it cannot be read or does not describe a classifier
 */
export async function readModelConfig(model: string, roots: Roots): Promise<ModelConfig | undefined> {
  for (const candidate of foldersOf(model)) {
    const file = join(candidate, 'config.json');
    const config = await readJson(file, roots);
    if (config === undefined) continue;
    if (typeof config === 'object' && config !== null && 'id2label' in config) {
      const preprocessorFile = join(candidate, 'preprocessor_config.json');
      return fromHuggingFace(file, config, preprocessorFile, await readJson(preprocessorFile, roots));
    }
    const { labels, ...parsed } = parse(OwnConfig, file, config);
    return { ...ownConfig(parsed), ...(await namesOf(labels, candidate, roots)) };
  }
  return undefined;
}

/**
 * The description that `exportOnnx` puts into a file when it is asked to.
 * @throws {UserError} if it does not describe a classifier
 */
export function configInside(file: string, text: string): ModelConfig {
  const where = `${file}: metadata "${CLASSIFIER_KEY}"`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${where}: is not JSON; export the model again`, { cause });
  }
  const { labels, ...parsed } = parse(InsideConfig, where, value);
  return { ...ownConfig(parsed), labels, place: `its metadata "${CLASSIFIER_KEY}"` };
}

function ownConfig({ input, ...parsed }: Omit<z.infer<typeof OwnConfig>, 'labels'>): ModelConfig {
  const { resample, size, ...colours } = input;
  return {
    ...parsed,
    input: { ...colours, size: sidesOf(size), resampling: resample },
    place: 'config.json',
    notes: [],
  };
}

/** Labels as config.json gives them: a list, or the name of a file; by default TorchServe's file, if there is one. */
async function namesOf(
  labels: string[] | string | undefined,
  folder: string,
  roots: Roots,
): Promise<Pick<ModelConfig, 'labels' | 'synsets'>> {
  if (Array.isArray(labels)) return { labels };
  const file = join(folder, basename(labels ?? 'index_to_name.json'));
  if (labels !== undefined && !file.endsWith('.json')) return { labels: await readLabels(file, roots) };
  const mapping = await readJson(file, roots);
  if (mapping !== undefined) return fromIndexToName(file, mapping);
  if (labels === undefined) return {};
  throw new UserError(`${file}: the labels cannot be read (ENOENT)`);
}

async function readLabels(file: string, roots: Roots): Promise<string[]> {
  try {
    const lines = decodeText(await readSidecar(file, roots)).split(/\r?\n/);
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${file}: the labels cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}
