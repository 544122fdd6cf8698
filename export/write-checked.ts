/** The last part of every export: the precision asked for, the file written and checked, the report. */
import { UsageError, UserError } from '../base/errors.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { checkModelPlace, isExternal, type OnnxModel, type SavedModel, saveModel } from '../onnx/file/onnx-model.js';
import { irVersion, type ModelParts, structureOf } from '../onnx/file/proto.js';
import { checkModel } from './check/check-model.js';
import { type Parity, TOLERANCE } from './check/compare-with-network.js';
import { checkDifference } from './check/difference.js';
import { withSaved } from './check/with-saved.js';
import type { Calibration, Feeds } from './precision/calibrate.js';
import { type Comparison, compareFiles } from './precision/compare.js';

export const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;

/** How to write, as flags say it. */
export interface WriteRequest {
  out: string;
  /** Of the tfjs model that the file is compared with, and of the file when its errors are measured; default: the CPU. */
  provider?: ProviderChoice;
  externalData?: boolean;
  /** Default fp32. */
  precision?: (typeof PRECISIONS)[number];
  /** How ranges of activations are found; default entropy. */
  calibration?: Calibration;
  /** Weights in seven bits; undefined: if this machine's processor needs it. */
  reduceRange?: boolean;
  /** Layers that stay float32 in an int8 file. */
  keepFloat?: readonly string[];
}

/** Images for reduced precision. */
export interface Images {
  calibration: Feeds;
  /** Others, on which the files are compared. */
  comparison: Feeds;
}

export interface WriteReport extends SavedModel {
  opset: number;
  ir: number;
  nodes: number;
  operators: Record<string, number>;
  parity: Parity;
  precision: (typeof PRECISIONS)[number];
  /** Against the same model in float32. */
  comparison?: Comparison & { referenceBytes: number };
}

type Note = (line: string) => void;

/** What is done with a written file before it takes its place. */
export interface Checks {
  /** Compares it with the tfjs model. */
  parity(file: string): Promise<Parity>;
  /** What it is to state of itself once it is measured, in place of the model's metadata; undefined: that stays. */
  metadata?(file: string): Promise<ModelParts['metadata']>;
}

/**
 * @param model    in float32
 * @throws {UserError} if the file cannot be written, or does not compute what tfjs does; an older file is left as it
 *   was
 */
export async function writeChecked(
  model: OnnxModel,
  request: WriteRequest,
  checks: Checks,
  images: Images | undefined,
  note: Note,
): Promise<WriteReport> {
  const { out, externalData, precision = 'fp32' } = request;
  const written = await inPrecision(model, request, images, note);
  await checkModelPlace(out, isExternal(written, request));
  const problems = checkModel(structureOf(written.parts));
  if (problems.length > 0) throw new Error(`the exported graph is not well-formed:\n${problems.join('\n')}`);
  let parity: Parity | undefined;
  let comparison: WriteReport['comparison'];
  const saved = await saveModel(written, out, {
    externalData,
    check: async (file) => {
      parity = await checks.parity(file);
      if (precision === 'fp32') checkDifference(parity, parity.allowed ?? TOLERANCE);
      else if (images) comparison = await compareWithFloat32(model, file, images.comparison, note);
      return checks.metadata?.(file);
    },
  });
  return {
    ...saved,
    opset: written.parts.opset,
    ir: irVersion(written.parts.opset),
    nodes: Object.values(written.operators).reduce((sum, count) => sum + count, 0),
    operators: written.operators,
    parity: parity!,
    precision,
    comparison,
  };
}

async function inPrecision(
  model: OnnxModel,
  { precision = 'fp32', calibration: method = 'entropy', keepFloat = [], ...request }: WriteRequest,
  images: Images | undefined,
  note: Note,
): Promise<OnnxModel> {
  if (precision === 'fp32') return model;
  if (model.operators.Loop)
    throw new UserError(
      `--precision ${precision}: the model has a loop whose rounds the data decide, which is written in fp32 only`,
    );
  if (precision === 'fp16') return (await import('./precision/float16.js')).toFloat16(model);
  if (!images) throw new UsageError('--precision int8 needs --calibrate DATA: images like those it will meet');
  const { needsReducedRange, quantize } = await import('./precision/quantize.js');
  const reduceRange = request.reduceRange ?? needsReducedRange();
  note(
    `calibrating on ${images.calibration.count} images by ${method}` +
      (reduceRange ? ', weights in 7 bits for processors without VNNI (--no-reduce-range: 8)' : ''),
  );
  return quantize(model, images.calibration, { method, reduceRange, keepFloat });
}

async function compareWithFloat32(
  model: OnnxModel,
  file: string,
  images: Feeds,
  note: Note,
): Promise<WriteReport['comparison']> {
  note(`comparing with float32 on ${images.count} images`);
  return withSaved(model, async (reference) => ({
    ...(await compareFiles(reference.file, file, images)),
    referenceBytes: reference.bytes,
  }));
}
