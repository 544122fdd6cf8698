/** A run's checkpoint as a checked `.onnx` file. */
import { UserError } from '../model/errors.js';
import '../model/index.js'; // registers the layers that a checkpoint's topology names
import { toolVersion } from '../model/tool-version.js';
import { selectBackend } from '../train/backend.js';
import { meanColour } from '../train/data/mean.js';
import { hasCheckpoint, loadCheckpoint } from '../train/load-checkpoint.js';
import { openRun, type Run } from '../train/run-folder.js';
import { checkDifference } from './check/difference.js';
import { checkOnCpu, checkParity, TOLERANCE } from './check/parity.js';
import { exportClassifier } from './export-classifier.js';
import { classifierFeeds } from './feeds.js';
import { openPictures, type PictureRequest } from './pictures.js';
import { type WriteReport, type WriteRequest, writeChecked } from './write-checked.js';

/** Weights up to which a crop is computed on tfjs's cpu backend too: AlexNet's would take half a minute. */
const LARGEST_ON_CPU = 1e7;

/** What a person asked for. */
export interface ExportRunRequest extends WriteRequest, PictureRequest {
  run: string;
  head: 'image' | 'tensor';
  opset: number;
  lrn?: 'op' | 'conv';
  checkpoint?: 'best' | 'last';
}

export interface ExportRunReport extends WriteReport {
  /** Folder of the checkpoint. */
  checkpoint: string;
}

/**
 * @throws {UserError} when run or checkpoint are damaged, the file cannot be written, or it does not compute what tfjs does
 */
export async function exportRun(request: ExportRunRequest, note: (line: string) => void): Promise<ExportRunReport> {
  const { head, opset, lrn } = request;
  const run = await openRun(request.run);
  const folder = checkpointFolder(run, request.checkpoint);
  await selectBackend('onnxruntime');
  const { model, state, weightsSha256 } = await loadCheckpoint(folder);
  note(`${folder}: ${run.config.model} after epoch ${state.epoch}, step ${state.step}`);
  const validation = request.checkpoint === 'last' ? state.lastValidation : state.bestValidation;
  const { imagePx, inputPx, mean } = run;
  const geometry = { imagePx, inputPx, mean };
  const exported = await exportClassifier(model, {
    head,
    opset,
    lrn,
    ...geometry,
    metadata: {
      model: run.config.model,
      labels: run.labels,
      synsets: run.synsets,
      meanRgb: meanColour(mean),
      dataset: run.config.data,
      top1Error: validation?.top1Error,
      top5Error: validation?.top5Error,
      checkpoint: weightsSha256,
      toolVersion: toolVersion(),
    },
  });
  const pictures = await openPictures(request, imagePx, (split, count) =>
    classifierFeeds(split, count, head, geometry),
  );
  const check = async (file: string) => {
    const parity = await checkParity(file, model, head, geometry, run.samples);
    if (model.countParams() > LARGEST_ON_CPU) return parity;
    const onCpu = await checkOnCpu(model, geometry, run.samples.subarray(0, imagePx ** 2 * 3));
    checkDifference(onCpu, TOLERANCE);
    note(`tfjs's own cpu backend, one crop: largest difference ${onCpu.maxRel.toExponential(1)} of the largest logit`);
    return parity;
  };
  const report = await writeChecked(exported.model, request, check, pictures, note);
  model.dispose();
  return { ...report, checkpoint: folder };
}

/** The best checkpoint, unless there is only the last or that was asked for. */
function checkpointFolder(run: Run, wanted: 'best' | 'last' | undefined): string {
  if (wanted) return run[wanted];
  if (hasCheckpoint(run.best)) return run.best;
  if (hasCheckpoint(run.last)) return run.last;
  throw new UserError(`${run.path}: no checkpoint yet; go on with "alexnet train --resume --out ${run.path}"`);
}
