/** Where a file's graph computes something else than the network that its weights go into. Weights fit in spite of it; predictions differ. */
import { type ConcreteRow, concreteRows, type NetworkOptions } from '../../model/geometry.js';
import type { LrnConvention, NetworkSpec } from '../../model/spec.js';
import type { LayerKind, Source, SourceLrn } from './source.js';

/** The file's numbers are float32. */
const near = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b));

/** AlexNet's α has two readings, `model/alexnet.ts`: the one that the file's first normalisation has, if it has either. */
export function lrnConventionOf({ graph }: Source, spec: NetworkSpec): LrnConvention | undefined {
  const [lrn] = graph?.lrns ?? [];
  const row = spec.rows.find((row) => row.type === 'lrn');
  if (!lrn || row?.type !== 'lrn' || typeof row.alpha === 'number') return undefined;
  const { alpha } = row;
  return (Object.keys(alpha) as LrnConvention[]).find((convention) => near(alpha[convention], lrn.alpha / lrn.size));
}

/** One line a difference, for people; none where the file holds weights only. */
export function graphWarnings(source: Source, spec: NetworkSpec, options: NetworkOptions): string[] {
  const { graph, own } = source;
  if (!graph) return [];
  const rows = concreteRows(spec, options);
  const sameNetwork = own?.model === spec.name;
  return [
    ...lrnWarnings(graph.lrns, rows, spec.name),
    ...convWarnings(source, rows, spec.name),
    ...(sameNetwork ? [] : orderWarnings(graph.order, rows, spec.name)),
    ...(sameNetwork ? [] : inputWarnings(graph.inputPx, spec)),
  ];
}

function lrnWarnings(lrns: SourceLrn[], rows: ConcreteRow[], model: string): string[] {
  const ours = rows.filter((row) => row.type === 'lrn');
  if (lrns.length !== ours.length) {
    return [`response normalisations: the file has ${lrns.length}, ${model} ${ours.length}: predictions will differ`];
  }
  return ours.flatMap(({ name, depthRadius, alpha, beta, bias }, index) => {
    const size = 2 * depthRadius + 1;
    const file = lrns[index];
    const share = file.alpha / file.size;
    if (file.size === size && near(share, alpha) && near(file.beta, beta) && near(file.bias, bias)) return [];
    const text = (values: number[]) => {
      const [size, share, beta, bias] = values.map((value) => Number(value.toPrecision(4)));
      return `size ${size}, alpha/size ${share}, beta ${beta}, bias ${bias}`;
    };
    return [
      `${name}: the file has ${text([file.size, share, file.beta, file.bias])}; ${model} has ` +
        `${text([size, alpha, beta, bias])}: predictions will differ`,
    ];
  });
}

function convWarnings({ layers }: Source, rows: ConcreteRow[], model: string): string[] {
  const ours = rows.filter((row) => row.type === 'conv');
  const theirs = layers.filter(({ kind }) => kind === 'conv');
  return ours.flatMap(({ name, stride = 1, pad, groups = 1 }, index) => {
    const geometry = theirs[index]?.geometry;
    if (!geometry) return [];
    // At the end a file may leave out what no window reaches.
    const text = (strides: readonly number[], pads: readonly number[] | undefined, groups: number) =>
      `strides ${strides.join()}, pads ${pads?.slice(0, 2).join() ?? 'by auto_pad'}, groups ${groups}`;
    const [file, here] = [
      text(geometry.strides, geometry.pads, geometry.groups),
      text([stride, stride], [pad, pad, pad, pad], groups),
    ];
    return file === here ? [] : [`${name}: the file has ${file}; ${model} has ${here}: predictions will differ`];
  });
}

function orderWarnings(order: LayerKind[], rows: ConcreteRow[], model: string): string[] {
  const kinds: readonly string[] = ['conv', 'local', 'fc', 'lrn', 'maxpool', 'avgpool'] satisfies LayerKind[];
  const ours = rows.map(({ type }) => type).filter((type) => kinds.includes(type));
  if (order.join() === ours.join()) return [];
  return [`order of layers: the file has ${order.join(' ')}; ${model} has ${ours.join(' ')}: predictions will differ`];
}

function inputWarnings(inputPx: number | undefined, { name, inputPx: ours }: NetworkSpec): string[] {
  if (inputPx === undefined || inputPx === ours) return [];
  return [`input: the file reads ${inputPx}×${inputPx} pixels, ${name} ${ours}×${ours}`];
}
