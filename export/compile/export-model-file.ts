/** A TensorFlow.js model on disk as a checked `.onnx` file. */
import { UserError } from '../../base/errors.js';
import '../../model/index.js'; // registers the layers of this project's own networks
import { toolVersion } from '../../base/tool-version.js';
import { selectBackend, startBackend } from '../../onnx/backend/select-backend.js';
import { checkModelPlace } from '../../onnx/file/onnx-model.js';
import { isIdentity } from '../../onnx/layout.js';
import type { Verification } from '../check/check-plan.js';
import { compareWithSource } from '../check/compare-with-source.js';
import { imageFeeds } from '../check/feeds.js';
import { type ImageRequest, openImages } from '../check/images.js';
import { type WriteReport, type WriteRequest, writeChecked } from '../write-checked.js';
import { boundaryLayout, type Layouts } from './boundary.js';
import { exportSource, sourceOf } from './export-onnx.js';
import { loadGraphModelFile, loadLayersModelFile } from './load-tfjs.js';
import type { ModelSource } from './model-source.js';

/** What the user asked for: `layersModel` or `graphModel`, one of them. */
export interface ExportFileRequest extends WriteRequest, ImageRequest {
  /** Paths of a `model.json`. */
  layersModel?: string;
  graphModel?: string;
  opset: number;
  lrn: 'op' | 'conv';
  layout: Layouts;
  batch?: number;
  inputShape: Record<string, (number | null)[]>;
  /** Nodes or layers whose results to give in place of the model's outputs. */
  outputs?: readonly string[];
  verify?: Verification;
  /** What an image's 0 and 255 become at the model's input. */
  pixels: readonly [number, number];
}

/**
 * @throws {UserError} when the model cannot be read or exported, the file cannot be written, or it does not compute
 *   what tfjs does
 */
export async function exportModelFile(request: ExportFileRequest, note: (line: string) => void): Promise<WriteReport> {
  const { opset, lrn, layout, batch } = request;
  await checkModelPlace(request.out, request.externalData);
  await startBackend({ backend: 'onnxruntime', provider: request.provider, fixed: true }, note);
  const path = (request.layersModel ?? request.graphModel)!;
  const model = request.layersModel ? await loadLayersModelFile(path) : await loadGraphModelFile(path);
  const source = sourceOf(model, { inputShapes: request.inputShape, outputs: request.outputs, batch });
  note(
    `${path}: ${source.inputs.map(({ name, shape }) => `${name} [${shape.map((n, axis) => n ?? (axis === 0 ? 'N' : '?')).join(', ')}]`).join(', ')}`,
  );
  const exported = await exportSource(source, { opset, lrn, layout, metadata: { tool_version: toolVersion() } });
  const images = request.calibrate === undefined ? undefined : await imagesFor(request, source, note);
  const parity = async (file: string) => {
    const compared = await compareWithSource(file, {
      source,
      model: exported,
      layout,
      verify: request.verify,
      precision: request.precision,
    });
    await selectBackend('onnxruntime'); // the weights are read again when another precision is compared
    return compared;
  };
  return writeChecked(exported, request, { parity }, images, note);
}

async function imagesFor(request: ExportFileRequest, source: ModelSource, note: (line: string) => void) {
  const [input, ...others] = source.inputs;
  const [channels, height, width] = source.channelsFirst
    ? input.shape.slice(1)
    : [input.shape[3], input.shape[1], input.shape[2]];
  if (others.length > 0 || input.shape.length !== 4 || channels !== 3 || height !== width || height === null)
    throw new UserError(
      `--calibrate: expected a model with one square RGB image as input, got ${source.inputs.map(({ name, shape }) => `${name} [${shape}]`).join(', ')}`,
    );
  const isMoved = !isIdentity(boundaryLayout(source.channelsFirst, request.layout));
  const named = { name: input.name, px: height, nchw: source.channelsFirst !== isMoved };
  return openImages(request, height, (split, count) => imageFeeds(split, count, named, request.pixels), note);
}
