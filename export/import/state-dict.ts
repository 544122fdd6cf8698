/**
 * Layers from named tensors, in either of two orders: PyTorch's, convolutions [out, in / groups, h, w], fully connected
 * layers [out, in] and images laid out c, h, w; or TensorFlow's, [h, w, in / groups, out], [in, out] and h, w, c. The
 * shapes of the convolutions tell which. torchvision's `alexnet` calls tensors `features.0.weight` …
 * `classifier.6.bias`; names of this project's layers (`conv1.weight`, `conv1/kernel`, `conv1_W`) are taken as well.
 */
import { UserError } from '../../base/errors.js';
import type { NetworkSpec } from '../../model/spec.js';
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';
import { transpose } from '../../onnx/layout.js';
import type { Source, SourceLayer } from './source.js';

const NAME = /^(.*)[./_](weights?|kernel|W|bias|biases|b)(?::0)?$/;
const numeric = new Intl.Collator('en', { numeric: true });
/** `features.10` after `features.8`, and Keras's `conv2d_1/conv2d_1` after `conv2d/conv2d`: spaces come first. */
const byNumber = (a: string, b: string): number => numeric.compare(a.replace(/[./]/g, ' '), b.replace(/[./]/g, ' '));

interface Pair {
  kernel?: StoredTensor;
  bias?: StoredTensor;
}

/**
 * Where all names are those of the network's layers, the network's order holds; else convolutions come first, by name
 * and number.
 * @throws {UserError} for a network with layers that other programs lack
 */
export function sourceOfStateDict(file: string, tensors: readonly StoredTensor[], { name, rows }: NetworkSpec): Source {
  const local = rows.filter(({ type }) => type === 'local').map((row) => row.name);
  if (local.length > 0) {
    throw new UserError(
      `${file}: ${name} has layers that PyTorch lacks (${local.join(', ')}); import it from an .onnx file of "alexnet export"`,
    );
  }
  const { pairs, unused } = pairsOf(tensors);
  const isChannelsLast = areChannelsLast([...pairs.values()]);
  const place = new Map(rows.map((row, index) => [row.name, index]));
  const ownNames = [...pairs.keys()].every((stem) => place.has(stem));
  const rank = ([stem, { kernel }]: [string, Pair]) =>
    ownNames ? place.get(stem)! : kernel?.dims.length === 4 ? 0 : 1;
  const ordered = [...pairs].sort((a, b) => rank(a) - rank(b) || byNumber(a[0], b[0]));
  const layers: SourceLayer[] = [];
  for (const [, { kernel, bias }] of ordered) {
    if (!kernel) unused.push(bias!.name);
    else layers.push(isChannelsLast ? channelsLast(kernel, bias) : channelsFirst(kernel, bias));
  }
  return { file, layers, unused, ownNames };
}

function pairsOf(tensors: readonly StoredTensor[]): { pairs: Map<string, Pair>; unused: string[] } {
  const pairs = new Map<string, Pair>();
  const unused: string[] = [];
  for (const tensor of tensors) {
    const [, stem, part = ''] = NAME.exec(tensor.name) ?? [];
    const rank = tensor.dims.length;
    const isBias = part.startsWith('b');
    if (part === '' || (isBias ? rank !== 1 : rank !== 2 && rank !== 4)) {
      unused.push(tensor.name);
      continue;
    }
    const pair = pairs.get(stem) ?? {};
    pairs.set(stem, pair);
    pair[isBias ? 'bias' : 'kernel'] = tensor;
  }
  return { pairs, unused };
}

/** Windows are square: in TensorFlow's order the first two lengths of every kernel are the same, and not the last two. */
function areChannelsLast(pairs: readonly Pair[]): boolean {
  const kernels = pairs.flatMap(({ kernel }) => (kernel?.dims.length === 4 ? [kernel.dims] : []));
  return (
    kernels.every(([height, width]) => height === width) && kernels.some(([, , inputs, outputs]) => inputs !== outputs)
  );
}

function channelsFirst(kernel: StoredTensor, bias?: StoredTensor): SourceLayer {
  if (kernel.dims.length === 4) return { kind: 'conv', kernel, bias };
  return { kind: 'fc', kernel, bias, transposed: true, flattened: 'chw' };
}

function channelsLast(kernel: StoredTensor, bias?: StoredTensor): SourceLayer {
  if (kernel.dims.length === 2) return { kind: 'fc', kernel, bias, flattened: 'hwc' };
  const turn = [3, 2, 0, 1]; // HWIO → OIHW
  const { name, dims } = kernel;
  const read = async () => transpose(await kernel.read(), dims, turn);
  return { kind: 'conv', kernel: { name, dims: turn.map((axis) => dims[axis]), read }, bias };
}
