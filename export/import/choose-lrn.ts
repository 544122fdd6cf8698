/**
 * Constants of the response normalisations of an imported network: a person's, else the file's, else the ones that
 * other programs take for granted. Caffe, PyTorch and ONNX divide α by the window, the paper's formula does not; see
 * `model/alexnet.ts`.
 */
import { UsageError, UserError } from '../../base/errors.js';
import { lrnConstants } from '../../model/geometry.js';
import type { LrnChoice, LrnConstants, LrnConvention, LrnRow, NetworkSpec } from '../../model/spec.js';
import type { Source, SourceLrn } from './source.js';

/** What a person said. */
export interface LrnFlags {
  /** `code`: α is divided by the window; `printed`: it is not. */
  lrn?: LrnConvention;
  lrnK?: number;
  lrnAlpha?: number;
  lrnBeta?: number;
}

/** For people. */
export const LRN_FLAGS = '--lrn-k, --lrn-alpha, --lrn-beta, --lrn printed|code';

/** Numbers of files are float32. */
export const near = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b));

/**
 * @returns  the choice, undefined for the network's own constants; and a line that says what was assumed, if something
 *   was
 * @throws {UserError} for a window that our layer cannot have
 * @throws {UsageError} if a flag has nothing to act on
 */
export function chooseLrn(
  { file, lrns, habits }: Source,
  spec: NetworkSpec,
  flags: LrnFlags,
): { lrn?: LrnChoice; warning?: string } {
  const rows = spec.rows.filter((row) => row.type === 'lrn');
  const { lrn: reading, lrnK, lrnAlpha, lrnBeta } = flags;
  const isTold = [reading, lrnK, lrnAlpha, lrnBeta].some((value) => value !== undefined);
  if (rows.length === 0) {
    if (isTold) throw new UsageError(`${spec.name} has no response normalisation; leave ${LRN_FLAGS} out`);
    return {};
  }
  const stored = lrns?.length === rows.length ? lrns : undefined;
  const assumed = rows.map((row) => (habits === 'caffe' ? CAFFE_LRN : usual(row)));
  const wanted = rows.map((row, i) => constantsOf(stored?.[i] ?? assumed[i], flags, `${file}: ${row.name}`));
  const lrn = shortest(rows, wanted);
  if (stored || isTold) return { lrn };
  const { size, bias, alpha, beta } = assumed[0];
  const warning =
    `response normalisation (${rows.map(({ name }) => name).join(', ')}): the file does not say its constants; taken are k ${bias}, ` +
    `alpha ${alpha} divided by the window of ${size}, beta ${beta}, as in PyTorch's LocalResponseNorm(${size}, ${alpha}, ${beta}, ${bias}); ` +
    `if it was trained with others, give them with ${LRN_FLAGS}`;
  return { lrn, warning };
}

/** Of BVLC/caffe's models/bvlc_alexnet and bvlc_reference_caffenet. */
const CAFFE_LRN: SourceLrn = { size: 5, bias: 1, alpha: 1e-4, beta: 0.75 };

/** As other programs write the network's constants. */
function usual({ depthRadius, bias, alpha, beta }: LrnRow): SourceLrn {
  const size = 2 * depthRadius + 1;
  return { size, bias, beta, alpha: typeof alpha === 'number' ? tidy(alpha * size) : tidy(alpha.code * size) };
}

function constantsOf(base: SourceLrn, flags: LrnFlags, where: string): LrnConstants {
  const { size } = base;
  if (size % 2 === 0 || size < 1) {
    throw new UserError(`${where}: expected a window of an odd number of channels, got ${size}`);
  }
  const [k, alpha, beta] = [flags.lrnK ?? base.bias, flags.lrnAlpha ?? base.alpha, flags.lrnBeta ?? base.beta].map(
    tidy,
  );
  const share = Number((alpha / size).toPrecision(15)); // 0.0003 / 3 is 0.0001
  return { depthRadius: (size - 1) / 2, bias: k, alpha: flags.lrn === 'printed' ? alpha : share, beta };
}

/** A float32 as it was written, 0.0001 and not 0.00009999999747378752, if that is the same float32. */
export function tidy(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === Math.fround(value) ? short : value;
}

/** The network's own constants, a reading of its α, else all constants by layer. */
function shortest(rows: readonly LrnRow[], wanted: readonly LrnConstants[]): LrnChoice | undefined {
  const hasReading = rows.some(({ alpha }) => typeof alpha !== 'number');
  const readings: (LrnConvention | undefined)[] = hasReading ? ['printed', 'code'] : [undefined];
  const keys = ['depthRadius', 'bias', 'alpha', 'beta'] as const;
  for (const reading of readings) {
    const isSame = rows.every((row, i) => {
      const own = lrnConstants(row, reading);
      return keys.every((key) => near(own[key], wanted[i][key]));
    });
    if (isSame) return reading;
  }
  return Object.fromEntries(rows.map(({ name }, i) => [name, wanted[i]]));
}
