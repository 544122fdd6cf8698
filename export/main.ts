/** The command `alexnet export`: a run's checkpoint as a verified `.onnx` file. */

import { createHash } from 'node:crypto';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { UserError } from '../model/errors.js';
import '../model/index.js'; // registers the layers that a checkpoint's topology names
import { selectBackend } from '../train/backend.js';
import { meanColour } from '../train/data/mean.js';
import { hasCheckpoint, loadCheckpoint } from '../train/load-checkpoint.js';
import { openRun, type Run } from '../train/run-folder.js';
import { toolVersion } from '../train/versions.js';
import { type ExportedModel, exportClassifier, OPSETS } from './export-onnx.js';
import { checkParity, type Parity } from './parity.js';
import { irVersion } from './proto.js';

/** What a person asked for. */
export interface ExportRequest {
  run: string;
  /** Path of the file to write; an existing one is replaced only by a verified one. */
  out: string;
  head: 'image' | 'tensor';
  opset: number;
  checkpoint?: 'best' | 'last';
}

export interface ExportReport {
  file: string;
  bytes: number;
  sha256: string;
  opset: number;
  ir: number;
  nodes: number;
  operators: Record<string, number>;
  parity: Parity;
  checkpoint: string;
}

/**
 * @throws {UserError} when run or checkpoint are damaged, the file cannot be written, or it does not compute what tfjs does
 */
export async function exportRun(
  request: ExportRequest,
  note: (line: string) => void = () => {},
): Promise<ExportReport> {
  const { out, head, opset } = request;
  const run = await openRun(request.run);
  const folder = checkpointFolder(run, request.checkpoint);
  await selectBackend('onnxruntime');
  const { model, state, weightsSha256 } = await loadCheckpoint(folder);
  note(`${folder}: ${run.config.model} after epoch ${state.epoch}, step ${state.step}`);
  const validation = request.checkpoint === 'last' ? state.lastValidation : state.bestValidation;
  const { imagePx, inputPx, mean } = run;
  const exported = await exportClassifier(model, {
    head,
    opset,
    imagePx,
    inputPx,
    mean,
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
  const parity = await writeVerified(out, exported, (file) =>
    checkParity(file, model, head, { imagePx, inputPx, mean }, run.samples),
  );
  model.dispose();
  const nodes = Object.values(exported.operators).reduce((sum, count) => sum + count, 0);
  return {
    file: out,
    bytes: exported.bytes.length,
    sha256: createHash('sha256').update(exported.bytes).digest('hex'),
    opset,
    ir: irVersion(opset),
    nodes,
    operators: exported.operators,
    parity,
    checkpoint: folder,
  };
}

/** The best checkpoint, unless there is only the last or that was asked for. */
function checkpointFolder(run: Run, wanted: 'best' | 'last' | undefined): string {
  if (wanted) return run[wanted];
  if (hasCheckpoint(run.best)) return run.best;
  if (hasCheckpoint(run.last)) return run.last;
  throw new UserError(`${run.path}: no checkpoint yet; go on with "alexnet train --resume --out ${run.path}"`);
}

/** Writes beside `out`, checks, and only then takes `out`'s place: a failed export leaves an older file as it was. */
async function writeVerified(
  out: string,
  { bytes }: ExportedModel,
  check: (file: string) => Promise<Parity>,
): Promise<Parity> {
  if ((await stat(out).catch(() => undefined))?.isDirectory())
    throw new UserError(`${out}: is a folder; expected a file name such as ${out}/alexnet.onnx`);
  const temporary = `${out}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, bytes);
    const parity = await check(temporary);
    await rename(temporary, out);
    return parity;
  } finally {
    await rm(temporary, { force: true });
  }
}

export function exportCommand(): Command {
  return new Command('export')
    .description('Write the checkpoint of a run as an ONNX file and check it against tfjs on pictures of the run.')
    .requiredOption('--run <folder>', 'folder that "alexnet train" made')
    .requiredOption('--out <file>', 'file to write, e.g. alexnet.onnx')
    .addOption(
      new Option(
        '--head <head>',
        'image: uint8 pictures in, mean probabilities over the crops out; tensor: float32 [N, 3, px, px] in, logits and probabilities out',
      )
        .choices(['image', 'tensor'])
        .default('image'),
    )
    .option('--opset <n>', `ONNX operator set, ${OPSETS.lowest} to ${OPSETS.highest}`, Number, OPSETS.default)
    .addOption(
      new Option('--checkpoint <which>', 'default: best, or last where no epoch has ended').choices(['best', 'last']),
    )
    .option('--json', 'print the report as one JSON line', false)
    .action(async (flags: ExportRequest & { json: boolean }) => {
      const report = await exportRun(flags, (line) => console.error(line));
      console.log(flags.json ? JSON.stringify(toJson(report)) : describe(report));
    });
}

function toJson({ parity, ...report }: ExportReport): object {
  return { ...report, parity: { images: parity.images, max_abs: parity.maxAbs, max_rel: parity.maxRel } };
}

function describe({ file, bytes, opset, ir, nodes, operators, parity, sha256 }: ExportReport): string {
  const kinds = Object.entries(operators).map(([operator, count]) => `${count} ${operator}`);
  return [
    `${file}: ${(bytes / 1e6).toFixed(1)} MB, opset ${opset}, IR ${ir}, ${nodes} nodes (${kinds.join(', ')})`,
    `sha256 ${sha256}`,
    `onnxruntime and tfjs agree on ${parity.images} pictures: largest difference ${parity.maxAbs.toExponential(1)}, ${parity.maxRel.toExponential(1)} of the largest output`,
  ].join('\n');
}
