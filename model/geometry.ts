/**
 * From a table to concrete layers: sizes, parameters and multiply-adds by arithmetic alone, without tensors. The
 * builder and the summary share it, so both speak of the same network.
 */
import { ShapeError, UserError } from '../base/errors.js';
import type { FcRow, LayerRow, LrnChoice, LrnConstants, LrnRow, NetworkSpec, Pad } from './spec.js';

/** What may differ between two networks of one table. */
export interface NetworkOptions {
  /** Number of classes, the logits' length. */
  classes: number;
  /** Times the channels and units of every layer but the last, rounded down; for tests. Default 1. */
  width?: number;
  /** Constants of the response normalisations. A reading of α is for AlexNet only; default `printed`. */
  lrn?: LrnChoice;
}

/** That, and the initial weights. */
export interface BuildOptions extends NetworkOptions {
  /** Equal seeds give equal weights. */
  seed: number;
  /** Layers whose weights are drawn, all by default; those of the others are zeros until they are set. */
  drawn?: readonly string[];
}

/** A row whose open choices are made. */
export type ConcreteRow =
  | Exclude<LayerRow, FcRow | LrnRow>
  | (Omit<FcRow, 'units'> & { units: number })
  | (Omit<LrnRow, 'alpha'> & { alpha: number });

/** Size of one image's activations: [height, width, channels], or [units] after a fully connected layer. */
export type Output = [number, number, number] | [number];

/** A layer's output, trainable numbers (kernel and bias) and multiply-adds for one image (of kernels only). */
export interface LayerSize {
  output: Output;
  parameters: number;
  macs: number;
}

/** Windows along one side: (W − F + 2P) / S + 1, rounded down; with `same` as many as cover every stride. */
export function outputSize(input: number, kernel: number, stride: number, pad: Pad): number {
  if (pad === 'same') return Math.ceil(input / stride);
  return Math.floor((input - kernel + 2 * (pad === 'valid' ? 0 : pad)) / stride) + 1;
}

/** Whether the table leaves open how α of its response normalisation is read. */
export function hasLrnChoice({ rows }: NetworkSpec): boolean {
  return rows.some((row) => row.type === 'lrn' && typeof row.alpha !== 'number');
}

/**
 * The table with the options put in.
 * @throws {UserError} when classes or width are out of range, or `lrn` is given for a network that knows one convention
 *   only, or names a layer that is no response normalisation of it
 */
export function concreteRows(spec: NetworkSpec, { classes, width = 1, lrn }: NetworkOptions): ConcreteRow[] {
  if (!Number.isInteger(classes) || classes < 1) {
    throw new UserError(`${spec.name}: expected a whole number of classes, 1 or more, got ${classes}`);
  }
  if (!(width > 0)) throw new UserError(`${spec.name}: expected a width above 0, got ${width}`);
  if (lrn !== undefined) checkLrn(spec, lrn);
  const scaled = (count: number) => Math.floor(count * width);
  return spec.rows.map((row) => {
    if (row.type === 'fc') return { ...row, units: row.units === 'classes' ? classes : scaled(row.units) };
    if (row.type === 'lrn') return { ...row, ...lrnConstants(row, lrn) };
    return 'channels' in row ? { ...row, channels: scaled(row.channels) } : row;
  });
}

/** The constants of a response normalisation. */
export function lrnConstants({ name, depthRadius, bias, alpha, beta }: LrnRow, lrn?: LrnChoice): LrnConstants {
  if (typeof lrn === 'object' && lrn[name]) return lrn[name];
  const convention = typeof lrn === 'string' ? lrn : 'printed';
  return { depthRadius, bias, alpha: typeof alpha === 'number' ? alpha : alpha[convention], beta };
}

function checkLrn(spec: NetworkSpec, lrn: LrnChoice): void {
  if (typeof lrn === 'string') {
    if (hasLrnChoice(spec)) return;
    throw new UserError(`${spec.name}: has no response normalisation to choose, got lrn "${lrn}"; leave it out`);
  }
  const names = spec.rows.filter(({ type }) => type === 'lrn').map(({ name }) => name);
  const unknown = Object.keys(lrn).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new UserError(
    `${spec.name}: expected constants of its response normalisations (${names.join(', ') || 'none'}), got "${unknown}"`,
  );
}

/**
 * @param input  what goes into the layer
 * @throws {ShapeError} when the image is too small for the window or channels do not divide into groups
 */
export function layerSize(row: ConcreteRow, input: Output): LayerSize {
  switch (row.type) {
    case 'fc': {
      const inputs = input.reduce((product, length) => product * length, 1);
      return { output: [row.units], parameters: (inputs + 1) * row.units, macs: inputs * row.units };
    }
    case 'conv': {
      const { name, channels, groups = 1 } = row;
      const [height, width, inChannels] = windows(name, input, row.kernel, row.stride ?? 1, row.pad);
      if (inChannels % groups !== 0 || channels % groups !== 0 || channels === 0) {
        throw new ShapeError(
          `${name}: expected channels that divide into ${groups} groups, got ${inChannels} in and ${channels} out`,
        );
      }
      const kernel = row.kernel ** 2 * (inChannels / groups) * channels;
      return { output: [height, width, channels], parameters: kernel + channels, macs: height * width * kernel };
    }
    case 'local': {
      const [height, width, inChannels] = windows(row.name, input, row.kernel, 1, row.pad);
      const kernel = height * width * row.kernel ** 2 * inChannels * row.channels;
      const output: Output = [height, width, row.channels];
      return { output, parameters: kernel + height * width * row.channels, macs: kernel };
    }
    case 'maxpool':
    case 'avgpool':
      return { output: windows(row.name, input, row.size, row.stride, row.pad), parameters: 0, macs: 0 };
    default:
      return { output: input, parameters: 0, macs: 0 };
  }
}

/** Number of windows in height and width, and the input's channels. */
function windows(name: string, input: Output, kernel: number, stride: number, pad: Pad): [number, number, number] {
  if (input.length === 1) throw new ShapeError(`${name}: expected [height, width, channels], got [${input}]`);
  const [height, width] = [outputSize(input[0], kernel, stride, pad), outputSize(input[1], kernel, stride, pad)];
  if (height < 1 || width < 1) {
    throw new ShapeError(`${name}: expected an image of at least ${kernel}×${kernel}, got [${input}] with pad ${pad}`);
  }
  return [height, width, input[2]];
}
