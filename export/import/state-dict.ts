/**
 * Layers from named tensors in PyTorch's order: convolutions [out, in / groups, h, w], fully connected layers [out, in]
 * with images laid out c, h, w. torchvision's `alexnet` calls them `features.0.weight` … `classifier.6.bias`; names of
 * this project's layers (`conv1.weight` or `conv1/kernel`) are taken as well.
 */
import type { LayerRow } from '../../model/spec.js';
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';
import type { Source, SourceLayer } from './source.js';

const NAME = /^(.*)[./](weight|kernel|bias)$/;
/** `features.10` after `features.8`. */
const byNumber = new Intl.Collator('en', { numeric: true });

/**
 * @param rows  the network's: where all names are theirs, their order holds; else convolutions come first, by name and
 *   number
 */
export function sourceOfStateDict(file: string, tensors: readonly StoredTensor[], rows: readonly LayerRow[]): Source {
  const stems = new Map<string, { kernel?: StoredTensor; bias?: StoredTensor }>();
  const unused: string[] = [];
  for (const tensor of tensors) {
    const [, stem, part] = NAME.exec(tensor.name) ?? [];
    const rank = tensor.dims.length;
    if (part === 'bias' ? rank !== 1 : part === undefined || (rank !== 2 && rank !== 4)) {
      unused.push(tensor.name);
      continue;
    }
    const pair = stems.get(stem) ?? {};
    stems.set(stem, pair);
    pair[part === 'bias' ? 'bias' : 'kernel'] = tensor;
  }
  const place = new Map(rows.map(({ name }, index) => [name, index]));
  const ownNames = [...stems.keys()].every((stem) => place.has(stem));
  const rank = ([stem, { kernel }]: [string, { kernel?: StoredTensor }]) =>
    ownNames ? place.get(stem)! : kernel?.dims.length === 4 ? 0 : 1;
  const ordered = [...stems].sort((a, b) => rank(a) - rank(b) || byNumber.compare(a[0], b[0]));
  const layers: SourceLayer[] = [];
  for (const [, { kernel, bias }] of ordered) {
    if (!kernel) unused.push(bias!.name);
    else if (kernel.dims.length === 4) layers.push({ kind: 'conv', kernel, bias });
    else layers.push({ kind: 'fc', kernel, bias, transposed: true, flattened: 'chw' });
  }
  return { file, layers, unused };
}
