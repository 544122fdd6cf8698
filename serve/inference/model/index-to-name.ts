/**
 * TorchServe's mapping of classes to names (pytorch.org/serve, default_handlers): `{"0": "tabby"}`, or with a list for
 * each, as ImageNet's `{"0": ["n01440764", "tench"]}`, whose last is the name.
 */
import { z } from 'zod';
import { UserError } from '../../../base/errors.js';
import { parse } from '../../../onnx/file/classifier-schema.js';
import type { ModelConfig } from './model-config.js';

const Mapping = z.record(z.string().regex(/^\d+$/), z.union([z.string(), z.array(z.string()).min(1)]));
const SYNSET = /^n\d{8}$/;

/** @throws {UserError} unless it names the classes from 0 on */
export function fromIndexToName(file: string, value: unknown): Pick<ModelConfig, 'labels' | 'synsets'> {
  const mapping = parse(Mapping, file, value);
  const count = Object.keys(mapping).length;
  const names = Array.from({ length: count }, (_, index) => {
    const found = mapping[index];
    if (found === undefined)
      throw new UserError(`${file}: expected the classes 0 to ${count - 1}, got none for ${index}`);
    return [found].flat();
  });
  const synsets = names.flatMap(([first, ...rest]) => (rest.length > 0 && SYNSET.test(first) ? first : []));
  return {
    labels: names.map((name) => name.at(-1)!),
    ...(count > 0 && synsets.length === count && { synsets }),
  };
}
