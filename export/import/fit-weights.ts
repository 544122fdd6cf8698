/**
 * Puts the layers of a file into one of our networks: shapes compared layer by layer, then the numbers moved into
 * tfjs's order.
 */
import { UserError } from '../../base/errors.js';
import { type ConcreteRow, concreteRows, layerSize, type NetworkOptions, type Output } from '../../model/geometry.js';
import type { NetworkSpec } from '../../model/spec.js';
import { transpose } from '../../onnx/layout.js';
import type { Normalisation } from './normalisation.js';
import type { Source, SourceLayer } from './source.js';

/** A layer of the network. Kernel as in `SourceLayer`, fully connected ones [in, out]. */
interface ExpectedLayer {
  name: string;
  kind: SourceLayer['kind'];
  kernel: number[];
  bias: number[];
  /** [height, width, channels] of what the first fully connected layer reads. */
  maps?: [number, number, number];
}

/** float32 by the names of the model's weights, `conv1/kernel`, …, in tfjs's order. */
export type FittedWeights = Map<string, Float32Array>;

/**
 * The number of classes that a file's last layer gives; the network's published number where that layer is not a fully
 * connected one.
 */
export function classesOf({ layers }: Source, spec: NetworkSpec): number {
  const last = layers.at(-1);
  return last?.kind === 'fc' ? fcDims(last)[1] : spec.classes;
}

/**
 * @param options  classes as in `classesOf`; `width` for tests
 * @throws {UserError} with what every layer expects and what came, if they differ or a number is NaN or infinite
 */
export async function fitWeights(
  source: Source,
  spec: NetworkSpec,
  options: NetworkOptions,
  normalisation: Normalisation,
): Promise<FittedWeights> {
  const expected = expectedLayers(spec, options);
  checkFit(source, spec, expected);
  const weights: FittedWeights = new Map();
  for (const [index, layer] of expected.entries()) {
    const { kernel, bias } = await numbersOf(source.layers[index], layer);
    if (index === 0) prepareInput(kernel, layer.kernel, normalisation);
    for (const [part, values] of Object.entries({ kernel, bias })) {
      const at = values.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) throw new UserError(`${source.file}: ${layer.name}: number ${at} of the ${part} is ${values[at]}`);
      weights.set(`${layer.name}/${part}`, values);
    }
  }
  return weights;
}

function expectedLayers(spec: NetworkSpec, options: NetworkOptions): ExpectedLayer[] {
  let input: Output = [spec.inputPx, spec.inputPx, 3];
  const layers: ExpectedLayer[] = [];
  for (const row of concreteRows(spec, options)) {
    const { output } = layerSize(row, input);
    if ('stddev' in row) layers.push(expectedLayer(row, input, output));
    input = output;
  }
  return layers;
}

function expectedLayer(row: Extract<ConcreteRow, { stddev: unknown }>, input: Output, output: Output): ExpectedLayer {
  const channels = input[input.length - 1];
  switch (row.type) {
    case 'conv': {
      const kernel = [row.channels, channels / (row.groups ?? 1), row.kernel, row.kernel];
      return { name: row.name, kind: 'conv', kernel, bias: [row.channels] };
    }
    case 'local': {
      const places = output[0] * output[1]!;
      const kernel = [places, row.kernel ** 2 * channels, row.channels];
      return { name: row.name, kind: 'local', kernel, bias: [places, row.channels] };
    }
    case 'fc': {
      const kernel = [input.reduce((product, length) => product * length, 1), row.units];
      const maps = input.length === 3 ? input : undefined;
      return { name: row.name, kind: 'fc', kernel, bias: [row.units], maps };
    }
  }
}

/** [in, out] */
function fcDims({ kernel: { dims }, transposed }: SourceLayer): number[] {
  return transposed ? [dims[1], dims[0]] : [...dims];
}

/** Without axes of length 1: a bias may be stored [1, out]. */
const essential = (dims: readonly number[]) => dims.filter((length) => length !== 1).join();

function fits(expected: ExpectedLayer | undefined, got: SourceLayer | undefined): boolean {
  if (!expected || !got || expected.kind !== got.kind) return false;
  const dims = got.kind === 'fc' ? fcDims(got) : got.kernel.dims;
  return (
    String(dims) === String(expected.kernel) && (!got.bias || essential(got.bias.dims) === essential(expected.bias))
  );
}

function fitsAll({ layers, unused }: Pick<Source, 'layers' | 'unused'>, expected: readonly ExpectedLayer[]): boolean {
  return (
    unused.length === 0 &&
    expected.length === layers.length &&
    expected.every((layer, index) => fits(layer, layers[index]))
  );
}

/** Whether every layer has the shape that the network expects. */
export function fitsNetwork(source: Source, spec: NetworkSpec, options: NetworkOptions): boolean {
  return fitsAll(source, expectedLayers(spec, options));
}

function checkFit({ file, layers, unused }: Source, spec: NetworkSpec, expected: ExpectedLayer[]): void {
  const count = Math.max(expected.length, layers.length);
  const pairs = Array.from({ length: count }, (_, index) => [expected[index], layers[index]] as const);
  if (fitsAll({ layers, unused }, expected)) return;
  const lines = pairs.map(([layer, got]) => [
    layer ? `${layer.name}: ${describeWeights(layer.kind, layer.kernel, layer.bias)}` : 'no more layers',
    got ? describeGot(got) : 'nothing',
    fits(layer, got) ? '' : '  ← differs',
  ]);
  const widths = [0, 1].map((column) => Math.max(...lines.map((line) => line[column].length)));
  const table = lines.map(
    ([wanted, got, mark]) => `  ${wanted.padEnd(widths[0])}  got ${mark ? got.padEnd(widths[1]) : got}${mark}`,
  );
  const rest = unused.length > 0 ? [`  and weights of no such layer: ${unused.join(', ')}`] : [];
  throw new UserError(
    [
      `${file}: does not fit ${spec.name}: expected (conv [out, in / groups, h, w], fc [in, out], local [places, in, out])`,
      ...table,
      ...rest,
      'Choose the network with --model; "alexnet summary --model NAME" shows its layers',
    ].join('\n'),
  );
}

function describeWeights(kind: string, kernel: readonly number[], bias: readonly number[] | undefined): string {
  return `${kind} [${kernel.join(', ')}], ${bias ? `bias [${bias.join(', ')}]` : 'no bias'}`;
}

function describeGot(layer: SourceLayer): string {
  const dims = layer.kind === 'fc' ? fcDims(layer) : layer.kernel.dims;
  return `${describeWeights(layer.kind, dims, layer.bias?.dims)} (${layer.kernel.name})`;
}

/** A layer without bias gets one of zeros, which is the same. */
async function numbersOf(
  got: SourceLayer,
  layer: ExpectedLayer,
): Promise<{ kernel: Float32Array; bias: Float32Array }> {
  const stored = await got.kernel.read();
  const biasLength = layer.bias.reduce((product, length) => product * length, 1);
  return {
    kernel: inTfjsOrder(stored, got, layer),
    bias: (await got.bias?.read()) ?? new Float32Array(biasLength),
  };
}

function inTfjsOrder(stored: Float32Array, got: SourceLayer, { kernel, maps }: ExpectedLayer): Float32Array {
  if (got.kind === 'local') return stored;
  if (got.kind === 'conv') return transpose(stored, kernel, [2, 3, 1, 0]); // OIHW → HWIO
  const [inputs, out] = kernel;
  if (!maps || got.flattened === 'hwc') return got.transposed ? transpose(stored, [out, inputs], [1, 0]) : stored;
  const [height, width, channels] = maps;
  return got.transposed
    ? transpose(stored, [out, channels, height, width], [2, 3, 1, 0]) // [out, c · h · w] → [h · w · c, out]
    : transpose(stored, [channels, height, width, out], [1, 2, 0, 3]); // [c · h · w, out] → [h · w · c, out]
}

/**
 * Makes conv1 read what our networks are fed, R, G, B in 0 … 255 minus the mean. A network learnt on (x − mean) / std
 * computes the same with its kernel divided by std, channel by channel: Σ k · (x − mean) / std = Σ (k / std) · (x −
 * mean); zeros around the image are zeros in both.
 * @param kernel  HWIO, changed in place
 * @param oihw    its lengths
 */
function prepareInput(
  kernel: Float32Array,
  [out, channels]: readonly number[],
  { channelOrder, std }: Normalisation,
): void {
  for (let start = 0; start < kernel.length; start += channels * out) {
    if (channelOrder === 'bgr') {
      const blue = kernel.slice(start, start + out);
      kernel.copyWithin(start, start + 2 * out, start + 3 * out);
      kernel.set(blue, start + 2 * out);
    }
    for (let channel = 0; channel < channels; channel++) {
      if (std[channel] === 1) continue;
      for (let i = start + channel * out; i < start + (channel + 1) * out; i++) kernel[i] /= std[channel];
    }
  }
}
