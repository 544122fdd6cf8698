/** A network's layers counted: what `alexnet summary` prints. Computed from the table, without building tensors. */
import { type ConcreteRow, concreteRows, type LayerSize, layerSize, type Output } from './geometry.js';
import type { LayerRow, LrnChoice, LrnConstants, NetworkSpec, Pad } from './spec.js';

export interface LayerSummary extends LayerSize {
  name: string;
  type: LayerRow['type'];
  /** Side of the window, pixels; if there is one. */
  kernel?: number;
  stride?: number;
  pad?: Pad;
  groups?: number;
  /** Of a response normalisation. */
  lrn?: LrnConstants;
}

export interface Summary {
  model: string;
  /** Side of the input, pixels. */
  inputPx: number;
  classes: number;
  /** Weights and biases, all layers. */
  parameters: number;
  /** Multiply-adds for one image, in convolutions and fully connected layers. */
  macs: number;
  layers: LayerSummary[];
}

/**
 * @param lrn  as in `NetworkOptions`
 * @throws {UserError} when `classes` is not a positive whole number
 */
export function summarize(spec: NetworkSpec, classes: number, lrn?: LrnChoice): Summary {
  let output: Output = [spec.inputPx, spec.inputPx, 3];
  const layers = concreteRows(spec, { classes, lrn }).map((row): LayerSummary => {
    const size = layerSize(row, output);
    output = size.output;
    return { name: row.name, type: row.type, ...windowOf(row), ...size };
  });
  const total = (key: 'parameters' | 'macs') => layers.reduce((sum, layer) => sum + layer[key], 0);
  return {
    model: spec.name,
    inputPx: spec.inputPx,
    classes,
    parameters: total('parameters'),
    macs: total('macs'),
    layers,
  };
}

function windowOf(row: ConcreteRow): Pick<LayerSummary, 'kernel' | 'stride' | 'pad' | 'groups' | 'lrn'> {
  switch (row.type) {
    case 'conv':
      return { kernel: row.kernel, stride: row.stride ?? 1, pad: row.pad, groups: row.groups ?? 1 };
    case 'local':
      return { kernel: row.kernel, stride: 1, pad: row.pad };
    case 'maxpool':
    case 'avgpool':
      return { kernel: row.size, stride: row.stride, pad: row.pad };
    case 'lrn': {
      const { depthRadius, bias, alpha, beta } = row;
      return { lrn: { depthRadius, bias, alpha, beta } };
    }
    default:
      return {};
  }
}

/** The formula of each response normalisation, one line for all layers that share it. */
function normalisations(layers: readonly LayerSummary[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, lrn } of layers) {
    if (!lrn) continue;
    const alpha = Number(lrn.alpha.toPrecision(6));
    const formula = `x / (${lrn.bias} + ${alpha} · Σ x² over ${2 * lrn.depthRadius + 1} channels)^${lrn.beta}`;
    names.set(formula, [...(names.get(formula) ?? []), name]);
  }
  return [...names].map(([formula, layers]) => `${layers.join(', ')}: ${formula}`);
}

/** A table for people, one line per layer and the totals last. */
export function formatSummary(summary: Summary): string {
  const count = (value: number) => (value === 0 ? '' : value.toLocaleString('en-US'));
  const header = ['layer', 'type', 'kernel', 'stride', 'pad', 'groups', 'output', 'parameters', 'multiply-adds'];
  const lines = summary.layers.map((layer) => [
    layer.name,
    layer.type,
    layer.kernel === undefined ? '' : `${layer.kernel}×${layer.kernel}`,
    ...[layer.stride, layer.pad, layer.groups].map((value) => String(value ?? '')),
    layer.output.join('×'),
    count(layer.parameters),
    count(layer.macs),
  ]);
  const input = ['input', '', '', '', '', '', `${summary.inputPx}×${summary.inputPx}×3`, '', ''];
  const total = ['total', '', '', '', '', '', '', count(summary.parameters), count(summary.macs)];
  const cells = [header, input, ...lines, total];
  const widths = header.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const pad = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
  const text = cells.map((line) => line.map(pad).join('  ').trimEnd());
  return [
    `${summary.model}, ${summary.classes} classes`,
    ...normalisations(summary.layers),
    text[0],
    rule,
    ...text.slice(1, -1),
    rule,
    text[text.length - 1],
  ].join('\n');
}
