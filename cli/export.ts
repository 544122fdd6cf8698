/** The command `alexnet export`: a run's checkpoint, or any TensorFlow.js model on disk, as a checked `.onnx` file. */

import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../base/errors.js';
import { counted, errorPercents } from '../base/format.js';
import { type Progress, showProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import { VERIFICATIONS } from '../export/check/check-plan.js';
import { LAYOUTS } from '../export/compile/boundary.js';
import type { ExportFileRequest } from '../export/compile/export-model-file.js';
import { OPSETS } from '../export/compile/program.js';
import type { ExportRunReport, ExportRunRequest } from '../export/from-run.js';
import { CALIBRATIONS } from '../export/precision/calibrate.js';
import { PRECISIONS, type WriteReport } from '../export/write-checked.js';
import { AS_THE_RUN, type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { cropCount, modelName, positiveInteger, wholeNumber } from './flag-types.js';
import { providerOption } from './provider-flag.js';
import { CROPS_HELP } from './training-flags.js';

const SOURCES = ['run', 'layersModel', 'graphModel'] as const;

type ExportFlags = DataFlags &
  ExportFileRequest &
  Omit<ExportRunRequest, 'run'> & {
    run?: string;
    json: boolean;
    head?: 'image' | 'tensor';
    triton?: string;
  };

/** What is exported, where to, and what belongs to a run alone. */
function sourceOptions(command: Command): Command {
  return command
    .optionsGroup('What to export:')
    .option('--run <folder>', 'folder that "alexnet train" made')
    .option('--layers-model <file>', 'model.json of any TensorFlow.js layers model')
    .option('--graph-model <file>', 'model.json of any TensorFlow.js graph model')
    .optionsGroup('File:')
    .option('--out <file>', 'file to write, e.g. alexnet.onnx; an older one is replaced only by a checked one')
    .option('--triton <repository>', "of a run: its model's next version in a model repository of NVIDIA Triton")
    .optionsGroup('Of a run:')
    .option(
      '--name <name>',
      "what servers call the model (default: the run folder's name; with --triton, the network's)",
      modelName,
    )
    .addOption(
      new Option(
        '--head <head>',
        'image: uint8 images in, mean probabilities over the crops out; tensor: float32 [N, 3, px, px] in, logits and probabilities out (default: image)',
      ).choices(['image', 'tensor']),
    )
    .option('--crops <n>', `crops that the image head averages: ${CROPS_HELP} (default: as it was trained)`, cropCount)
    .option('--data <data>', "images to measure the file's errors on, split val (default: the run's)")
    .option(
      '--measure-images <n>',
      "images to measure on at most, spread evenly; 0: none (default: as many as take minutes, AlexNet's 1000)",
      wholeNumber,
    )
    .addOption(
      new Option('--checkpoint <which>', 'checkpoint (default: best, or last if no epoch has ended)').choices([
        'best',
        'last',
      ]),
    );
}

/** Operators, axes and form of the file. */
function fileOptions(command: Command): Command {
  return command
    .optionsGroup('File:')
    .option('--opset <n>', `ONNX operator set, ${OPSETS.lowest} to ${OPSETS.highest}`, Number, OPSETS.default)
    .addOption(
      new Option('--lrn <form>', 'response normalisation as the operator LRN or as a band convolution, equal to 1e-6')
        .choices(['op', 'conv'])
        .default('op'),
    )
    .option('--external-data', 'weights in FILE.data next to the file (default: above 2 GB)')
    .optionsGroup('Of a model:')
    .addOption(
      new Option('--layout <layout>', 'axes of 4-D inputs and outputs: as the model has them, channels last or first')
        .choices(LAYOUTS)
        .default('model'),
    )
    .option('--batch <n>', 'length of the first axis, in inputs at once (default: free)', positiveInteger)
    .option(
      '--input-shape <shape>',
      'shape of an input that has free axes, e.g. N,32,64 or name=N,32,64; may be repeated',
      inputShape,
      {},
    )
    .option('--outputs <names>', 'nodes or layers to give in place of the outputs, e.g. boxes,scores', (text) =>
      text.split(','),
    )
    .addOption(
      new Option(
        '--verify <how>',
        'compare with tfjs on 13 rows (6 if heavy), or on 3; quick also leaves out what takes long',
      )
        .choices(VERIFICATIONS)
        .default('full'),
    );
}

export function exportCommand(): Command {
  const command = new Command('export').description(
    'Write a trained model as an ONNX file, and check the file against TensorFlow.js.',
  );
  return dataOptions(fileOptions(sourceOptions(command)), AS_THE_RUN)
    .optionsGroup('Smaller types:')
    .addOption(
      new Option('--precision <type>', 'fp32; fp16 for weights and computation; int8 for 8-bit integers')
        .choices(PRECISIONS)
        .default('fp32'),
    )
    .option(
      '--calibrate <data>',
      'images, as "alexnet train --data" takes them: train/ to calibrate on, test/ or val/ to compare on (default: the few that a run keeps)',
    )
    .option('--calibration-pictures <n>', 'images to calibrate on', positiveInteger, 256)
    .option('--compare-pictures <n>', 'images to compare with float32 on', positiveInteger, 1000)
    .addOption(
      new Option('--calibration <method>', 'range of activations: least divergence, 99.99 % of the values, all of them')
        .choices(CALIBRATIONS)
        .default('entropy'),
    )
    .option('--reduce-range', 'int8 weights in 7 bits, for x86 without VNNI (default: if this processor needs it)')
    .option('--no-reduce-range', 'int8 weights in 8 bits')
    .option(
      '--keep-float <layers>',
      'layers that stay float32 in an int8 file, e.g. conv1,fc8',
      (text) => text.split(','),
      [],
    )
    .option(
      '--pixels <range>',
      "two numbers that an image's 0 and 255 become for --calibrate on a model",
      range,
      [0, 1],
    )
    .optionsGroup('Computing and output:')
    .addOption(providerOption())
    .option('--json', 'print the report as one JSON line', false)
    .action(runExport);
}

async function runExport(flags: ExportFlags): Promise<void> {
  checkFlags(flags);
  const progress = showProgress();
  try {
    const report = await exportAsAsked({ ...flags, ...dataChoice(flags) }, progress);
    progress.stop();
    console.log(flags.json ? JSON.stringify(toJson(report)) : headed(describeExport(report)));
  } finally {
    progress.stop();
  }
}

async function exportAsAsked(flags: ExportFlags, progress: Progress): Promise<WriteReport | ExportRunReport> {
  const { run, triton, head = 'image' } = flags;
  if (run === undefined)
    return (await import('../export/compile/export-model-file.js')).exportModelFile(flags, progress.note);
  if (triton === undefined) return (await import('../export/from-run.js')).exportRun({ ...flags, run, head }, progress);
  return (await import('../export/triton.js')).exportTriton({ ...flags, run, head, triton }, progress);
}

function checkFlags({ batch, calibrate, precision, lrn, ...flags }: ExportFlags): void {
  const given = SOURCES.filter((source) => flags[source] !== undefined);
  if (given.length !== 1) throw new UsageError('give one of --run RUN, --layers-model FILE and --graph-model FILE');
  if ((flags.out === undefined) === (flags.triton === undefined))
    throw new UsageError('give either --out FILE.onnx or --triton REPOSITORY');
  if (flags.run === undefined && flags.triton !== undefined) throw new UsageError('--triton belongs to --run');
  const shaped = flags.layout !== 'model' || batch !== undefined || Object.keys(flags.inputShape).length > 0;
  const ofModel = shaped || flags.outputs !== undefined || flags.verify !== 'full';
  if (flags.run !== undefined && ofModel)
    throw new UsageError(
      '--layout, --batch, --input-shape, --outputs and --verify belong to models; a run has a --head',
    );
  const ofRun = flags.name ?? flags.head ?? flags.checkpoint ?? flags.crops ?? flags.data ?? flags.measureImages;
  if (flags.run === undefined && ofRun !== undefined)
    throw new UsageError('--name, --head, --checkpoint, --crops, --data and --measure-images belong to --run');
  if (flags.head === 'tensor' && flags.crops !== undefined)
    throw new UsageError('--crops belongs to --head image; with --head tensor, the caller of the file cuts the crops');
  if (flags.data !== undefined && flags.measureImages === 0)
    throw new UsageError('--data is what the file is measured on; --measure-images 0 measures nothing');
  if (precision === 'int8' && calibrate === undefined && flags.run === undefined)
    throw new UsageError('--precision int8 of a model needs --calibrate DATA: images like those it will meet');
  if (precision === 'fp32' && calibrate !== undefined)
    throw new UsageError('--calibrate needs --precision int8 or fp16');
  if (precision !== 'fp32' && lrn === 'conv')
    throw new UsageError(`--precision ${precision} needs --lrn op: squares of activations leave its range`);
}

/** `name=N,32,64` or `N,32,64`, added to those given before. */
function inputShape(text: string, before: Record<string, (number | null)[]>): Record<string, (number | null)[]> {
  const [, name = '', lengths] = /^(?:(.+)=)?(.*)$/.exec(text)!;
  const shape = lengths.split(',').map((length) => (length.trim() === 'N' ? null : Number(length || Number.NaN)));
  if (shape.every((length) => length === null || (Number.isInteger(length) && length > 0)))
    return { ...before, [name]: shape };
  throw new InvalidArgumentError(`Expected lengths such as N,32,64, with N for a free axis, got "${text}".`);
}

function range(text: string): [number, number] {
  const ends = text.split(',').map((end) => Number(end || Number.NaN));
  if (ends.length === 2 && ends.every(Number.isFinite) && ends[0] < ends[1]) return [ends[0], ends[1]];
  throw new InvalidArgumentError(`Expected two rising numbers such as -1,1, got "${text}".`);
}

function toJson({ dataFile, parity, comparison, ...report }: WriteReport | ExportRunReport): object {
  const {
    metadata,
    kind: _,
    ...written
  } = 'metadata' in report ? report : { ...report, metadata: undefined, kind: undefined };
  return {
    ...written,
    data_file: dataFile,
    ...(metadata && {
      crops: metadata.crops,
      top1_error: metadata.top1Error,
      top5_error: metadata.top5Error,
      measured_on: metadata.measuredOn,
    }),
    parity: {
      images: parity.images,
      max_abs: parity.maxAbs,
      max_rel: parity.maxRel,
      worst: parity.worst,
      how: parity.how,
      seconds: parity.seconds,
    },
    comparison: comparison && {
      pictures: comparison.pictures,
      top1_agreement: comparison.agreement,
      fp32_bytes: comparison.referenceBytes,
      fp32_ms: comparison.referenceMs,
      ms: comparison.ms,
    },
  };
}

function describeExport(report: WriteReport | ExportRunReport): string {
  const { file, dataFile, bytes, opset, ir, nodes, operators, sha256, parity, comparison, precision } = report;
  const kinds = Object.entries(operators).map(([operator, count]) => `${count} ${operator}`);
  const { images, maxAbs, maxRel, worst, how, seconds } = parity;
  const lines = [
    `${file}${dataFile ? ` and ${dataFile}` : ''}: ${megabytes(bytes)}, opset ${opset}, IR ${ir}, ${nodes} nodes (${kinds.join(', ')})`,
    `sha256 ${sha256}`,
    `onnxruntime and tfjs on ${images} inputs: largest difference ${maxAbs.toExponential(1)}, ${maxRel.toExponential(1)} of ${worst?.measure ?? 'the largest output'}` +
      (worst ? `; worst ${worst.output}[${worst.index}]: ${worst.actual} for ${worst.expected}` : ''),
  ];
  if (how) lines.push(`compared on ${how}, in ${seconds!.toFixed(1)} s`);
  if (comparison) {
    const { pictures, agreement, referenceBytes, referenceMs, ms } = comparison;
    lines.push(
      `${precision} against fp32 on ${pictures} images: the same first class for ${(100 * agreement).toFixed(2)} %; ` +
        `${megabytes(bytes)} for ${megabytes(referenceBytes)}; ${ms.toFixed(2)} ms for ${referenceMs.toFixed(2)} ms an image (${(referenceMs / ms).toFixed(2)} times as fast)`,
    );
  }
  if ('metadata' in report) lines.push(...describeErrors(report));
  return lines.join('\n');
}

function describeErrors({ file, metadata, kind }: ExportRunReport): string[] {
  const { crops, top1Error, top5Error, measuredOn, dataset, labels } = metadata;
  if (!measuredOn) return [];
  const { images, data = dataset } = measuredOn;
  return [
    `${file} itself on ${images} ${kind} images of ${data}, ${counted(crops, 'crop')}: top-1 error ${errorPercents(top1Error!, top5Error, labels.length)}`,
  ];
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
