/**
 * Variants of a network, for experiments: what is changed stands in the name, after dots, so that a run, an exported
 * file and a table all say it. `alexnet.no-norm1.no-norm2` has no normalisation, `cifar10-18pct.tanh` has tanh for
 * ReLU.
 */
import { UserError } from '../base/errors.js';
import type { LayerRow, NetworkName, NetworkSpec } from './spec.js';

/** Edits by name; each takes the rows and gives new ones. */
const EDITS: Record<string, (rows: LayerRow[]) => LayerRow[]> = {
  tanh: (rows) => rows.flatMap(withTanh),
  pool2: (rows) => rows.map((row) => ('size' in row && 'stride' in row ? { ...row, size: row.stride } : row)),
  dropout: withDropout,
};

/** For help texts and messages. */
export const EDIT_HELP =
  'no-LAYER (without that layer), tanh (instead of ReLU), pool2 (windows that do not overlap), dropout (of half before the last layer)';

/** The network that a variant is one of: `alexnet` of `alexnet.no-norm1`. */
export function baseName({ name }: NetworkSpec): NetworkName {
  return name.split('.')[0] as NetworkName;
}

/**
 * @param edits  in order: names of `EDITS`, or `no-LAYER`
 * @throws {UserError} for an edit that there is not, or that leaves the network as it was
 */
export function editNetwork(spec: NetworkSpec, edits: readonly string[]): NetworkSpec {
  if (edits.length === 0) return spec;
  const rows = edits.reduce((current, edit) => applyEdit(spec.name, current, edit), spec.rows);
  return { ...spec, name: [spec.name, ...edits].join('.'), rows };
}

function applyEdit(name: string, rows: LayerRow[], edit: string): LayerRow[] {
  if (edit.startsWith('no-')) return without(name, rows, edit.slice('no-'.length));
  if (!Object.hasOwn(EDITS, edit)) throw new UserError(`${name}: unknown change ".${edit}"; there are: ${EDIT_HELP}`);
  const edited = EDITS[edit](rows);
  if (JSON.stringify(edited) === JSON.stringify(rows)) throw new UserError(`${name}: ".${edit}" changes nothing in it`);
  return edited;
}

function without(name: string, rows: LayerRow[], layer: string): LayerRow[] {
  const removable = rows.slice(0, -1).map((row) => row.name); // the last gives the classes
  if (removable.includes(layer)) return rows.filter((row) => row.name !== layer);
  throw new UserError(`${name}: cannot leave out "${layer}"; layers that can be: ${removable.join(', ')}`);
}

function withTanh(row: LayerRow): LayerRow[] {
  if (row.type === 'relu') return [{ type: 'tanh', name: row.name.replace('relu', 'tanh') }];
  if (!('relu' in row) || !row.relu) return [row];
  return [
    { ...row, relu: false },
    { type: 'tanh', name: `${row.name}_tanh` },
  ];
}

function withDropout(rows: LayerRow[]): LayerRow[] {
  if (rows.some(({ type }) => type === 'dropout')) return rows;
  return [...rows.slice(0, -1), { type: 'dropout', name: 'dropout', rate: 0.5 }, ...rows.slice(-1)];
}
