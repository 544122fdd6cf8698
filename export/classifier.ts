/** A trained classifier of this project's kind as an ONNX model with one of the two heads. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { type CropCount, type CropGeometry, cropsOf } from '../base/crops.js';
import { random } from '../base/random.js';
import { type ModelMetadata, metadataToProps } from '../onnx/file/metadata.js';
import { OnnxModel } from '../onnx/file/onnx-model.js';
import { compareWithNetwork, TOLERANCE } from './check/compare-with-network.js';
import { checkDifference } from './check/difference.js';
import { withSaved } from './check/with-saved.js';
import { inferencePass, weightNames } from './compile/layers-pass.js';
import { compileProgram, FREE_BATCH } from './compile/program.js';
import { trace } from './compile/trace.js';
import { imageHead, tensorHead } from './heads.js';

export interface ClassifierOptions extends CropGeometry {
  head: 'image' | 'tensor';
  /** Crops that the image head averages, see `cropsOf`; default 10, the paper's. */
  crops?: CropCount;
  /** ONNX operator set, 13 to 22. */
  opset: number;
  /** Response normalisation as ONNX's operator (default) or as a band convolution, equal to 1e-6. */
  lrn?: 'op' | 'conv';
  metadata: Omit<ModelMetadata, 'head' | 'crops' | 'imagePx' | 'inputPx'>;
}

/** The model, and its metadata as the file states them. */
export interface ExportedClassifier {
  model: OnnxModel;
  metadata: ModelMetadata;
}

/**
 * Exports a network from one float32 NHWC image to logits, and compares it with tfjs on an image of random pixels. Equal
 * networks give equal bytes. The active backend becomes `onnxruntime`.
 * @throws {UserError} see `compileProgram`; also if the two differ
 */
export async function exportClassifier(
  model: tfl.LayersModel,
  options: ClassifierOptions,
): Promise<ExportedClassifier> {
  const exported = await compileClassifier(model, options);
  const { head, imagePx, inputPx } = options;
  const crops = head === 'image' ? cropsOf(options.crops ?? 10, imagePx, inputPx) : undefined;
  const stream = random('classifier');
  const pixels = Uint8Array.from({ length: imagePx ** 2 * 3 }, () => stream.integer(256));
  await withSaved(exported.model, async ({ file }) =>
    checkDifference(await compareWithNetwork(file, model, { ...options, crops }, pixels), TOLERANCE),
  );
  return exported;
}

/** See `exportClassifier`; for callers that compare the written file themselves. */
export async function compileClassifier(
  model: tfl.LayersModel,
  options: ClassifierOptions,
): Promise<ExportedClassifier> {
  const { head, opset, lrn = 'op', inputPx, imagePx } = options;
  const crops = cropsOf(head === 'image' ? (options.crops ?? 10) : 1, imagePx, inputPx);
  const run = inferencePass(model);
  const parts = await compileProgram({
    trace: ([batch]) => trace(run, [{ shape: [batch * crops.length, inputPx, inputPx, 3], dtype: 'float32' }]),
    weightNames: () => weightNames(model),
    build: (g, [batch], network) => {
      const logits = (input: Parameters<typeof network>[0][number]) => network([input])[0];
      return head === 'image' ? imageHead(g, batch, options, crops, logits) : tensorHead(g, batch, inputPx, logits);
    },
    outputNames: head === 'image' ? ['probabilities'] : ['logits', 'probabilities'],
    target: { opset, lrn, finite: true },
    axes: [FREE_BATCH],
  });
  const metadata: ModelMetadata = { ...options.metadata, head, crops: crops.length, imagePx, inputPx };
  const described = {
    graphName: metadata.model,
    doc: describeClassifier(metadata),
    metadata: metadataToProps(metadata),
    producerVersion: metadata.toolVersion,
  };
  return { model: new OnnxModel({ ...parts, ...described }), metadata };
}

function describeClassifier({ model, head, crops, imagePx, inputPx, labels }: ModelMetadata): string {
  const averaged = crops > 1 ? `mean over ${crops} crops` : 'one crop';
  return head === 'image'
    ? `${model}: image uint8 [N, ${imagePx}, ${imagePx}, 3] RGB → probabilities of ${labels.length} classes, ${averaged} of ${inputPx} pixels`
    : `${model}: input float32 [N, 3, ${inputPx}, ${inputPx}] RGB 0–255, mean subtracted → logits and probabilities of ${labels.length} classes`;
}
