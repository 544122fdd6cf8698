/**
 * Where a file's graph computes something else than the network that its weights go into. The weights fit nevertheless;
 * predictions differ.
 */
import { type ConcreteRow, concreteRows, type NetworkOptions } from '../../model/geometry.js';
import type { NetworkSpec, PoolRow } from '../../model/spec.js';
import { near } from './choose-lrn.js';
import type { LayerKind, PoolGeometry, Source, SourceLrn } from './source.js';

/** What may make predictions differ, one line each, for people; none if the file holds weights only. */
export function graphDifferences(source: Source, spec: NetworkSpec, options: NetworkOptions): string[] {
  const { graph, own, lrns = [] } = source;
  if (!graph) return [];
  const rows = concreteRows(spec, options);
  const sameNetwork = own?.model === spec.name;
  return [
    ...lrnDifferences(lrns, rows, spec.name),
    ...convDifferences(source, rows, spec.name),
    ...(graph.pools ? poolDifferences(graph.pools, rows, spec.name) : []),
    ...(sameNetwork ? [] : orderDifferences(graph.order, rows, spec.name)),
  ];
}

function lrnDifferences(lrns: SourceLrn[], rows: ConcreteRow[], model: string): string[] {
  const ours = rows.filter((row) => row.type === 'lrn');
  if (lrns.length !== ours.length) {
    return [`response normalisations: the file has ${lrns.length}, ${model} ${ours.length}`];
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
        `${text([size, alpha, beta, bias])}`,
    ];
  });
}

function convDifferences({ layers }: Source, rows: ConcreteRow[], model: string): string[] {
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
    return file === here ? [] : [`${name}: the file has ${file}; ${model} has ${here}`];
  });
}

function poolDifferences(pools: PoolGeometry[], rows: ConcreteRow[], model: string): string[] {
  const ours = rows.filter((row) => row.type === 'maxpool' || row.type === 'avgpool');
  const text = ({ size, stride, pad }: PoolGeometry) => `window ${size}, stride ${stride}, pad ${pad}`;
  return ours.flatMap((row, index) => {
    const { name, size, stride, pad } = row as PoolRow;
    if (pad === 'same' || !pools[index]) return []; // the order of layers tells
    const [file, here] = [text(pools[index]), text({ size, stride, pad: 0 })];
    return file === here ? [] : [`${name}: the file has ${file}; ${model} has ${here}`];
  });
}

function kindsOf(rows: readonly Pick<ConcreteRow, 'type'>[]): string[] {
  const kinds: readonly string[] = ['conv', 'local', 'fc', 'lrn', 'maxpool', 'avgpool'] satisfies LayerKind[];
  return rows.map(({ type }) => type).filter((type) => kinds.includes(type));
}

/** Whether a network has these layers in this order. */
export const hasOrder = (order: readonly LayerKind[], { rows }: NetworkSpec): boolean =>
  order.join() === kindsOf(rows).join();

function orderDifferences(order: LayerKind[], rows: ConcreteRow[], model: string): string[] {
  const ours = kindsOf(rows);
  if (order.join() === ours.join()) return [];
  return [`order of layers: the file has ${order.join(' ')}; ${model} has ${ours.join(' ')}`];
}

/** Where the file reads images of another size, or prepares them itself. */
export function inputWarnings({ graph, own }: Source, { name, inputPx: ours }: NetworkSpec): string[] {
  if (!graph || own?.model === name) return [];
  const { inputPx = ours, fed } = graph;
  const prepared = own ? '' : fed?.preparedBy.join(', ');
  return [
    ...(inputPx === ours ? [] : [`input: the file reads ${inputPx}×${inputPx} pixels, ${name} ${ours}×${ours}`]),
    ...(prepared
      ? [
          `input: the file prepares pixels before its first convolution (${prepared}); say what it does by --mean and --std`,
        ]
      : []),
  ];
}
