/** The command `alexnet import`: weights from elsewhere as a run's folder. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Compared } from '../export/import/compare-outputs.js';
import { type ImportOptions, importNetwork } from '../export/import/import-network.js';
import type { Rgb } from '../export/import/normalisation.js';
import { writeRun } from '../export/import/write-run.js';
import { findNetwork, NETWORKS } from '../model/registry.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { selectBackend } from '../onnx/backend/select-backend.js';
import { checkFree } from '../train/run/run-folder.js';
import { lockRun } from '../train/run/run-lock.js';
import { providerOption } from './provider-flag.js';

/** What the user asked for. */
export interface ImportRequest extends ImportOptions {
  /** `.onnx` or `.safetensors`. */
  file: string;
  model: string;
  /** The run's folder. */
  out: string;
  /** Replace the run in `out`. */
  force: boolean;
  /** Of the network that is compared with the file; default: the CPU. */
  provider?: ProviderChoice;
}

export interface ImportReport {
  run: string;
  model: string;
  file: string;
  classes: number;
  /** Numbers in kernels and biases. */
  parameters: number;
  /** Order of the channels in the file. */
  channels: 'rgb' | 'bgr';
  /** True if the file is one that `alexnet export` wrote. */
  own: boolean;
  /** Largest difference to the file's own logits; null if they could not be compared, and why in `notCompared`. */
  compared: Compared | null;
  notCompared?: string;
  warnings: string[];
}

/**
 * @throws {UserError} when the file is damaged or does not fit; a run in `out` stays as it was
 */
export async function importRun(request: ImportRequest): Promise<ImportReport> {
  findNetwork(request.model);
  await checkFree(request.out, request.force);
  const unlock = await lockRun(request.out);
  try {
    return await importInto(request);
  } finally {
    await unlock();
  }
}

async function importInto({ file, out, force: _, provider, ...options }: ImportRequest): Promise<ImportReport> {
  const spec = findNetwork(options.model);
  const { why } = await selectBackend('onnxruntime', provider);
  if (provider) console.error(`backend onnxruntime: ${why}`);
  const imported = await importNetwork(file, spec, options);
  try {
    const run = await writeRun(out, file, spec, imported);
    return {
      run: run.path,
      model: spec.name,
      file,
      classes: run.labels.length,
      parameters: imported.model.countParams(),
      channels: imported.channelOrder,
      own: imported.own !== undefined,
      ...(typeof imported.compared === 'string'
        ? { compared: null, notCompared: imported.compared }
        : { compared: imported.compared }),
      warnings: imported.warnings,
    };
  } finally {
    imported.model.dispose();
  }
}

const DETAILS = `
Files:
  .onnx         from "alexnet export": weights, labels and mean come back bit for bit. From another program, such as the ONNX Model Zoo's bvlc_alexnet
                and caffenet: layers are found by the graph's structure, not by name; external data next to the file is read.
  .safetensors  state dict of torchvision's alexnet, or tensors named after the network's layers, conv1.weight or conv1/kernel, in PyTorch's order.
Floats of 16, 32 and 64 bits are read; weights are kept as float32.

Input: our networks read R, G, B in 0 … 255 minus a mean. A file that learnt (x − mean) / std has conv1 divided by std, which computes the same.
Defaults if --channels, --mean and --std are absent (mean and std as R,G,B in 0 … 255):
  of "alexnet export"         rgb, the file's own mean, std 1
  caffe2 or onnx-caffe2       bgr, mean 122.67891434,116.66876762,104.00698793, std 1
  --model alexnet-torchvision mean 123.675,116.28,103.53, std 58.395,57.12,57.375
  other                       rgb, ImageNet's mean with a warning, std 1

Response normalisation, y = x / (k + alpha/n · Σ x²)^beta over n channels: constants of an .onnx file are taken from its graph and kept in the run.
A .safetensors file has none: if no --lrn flag is given they are the network's, with alpha divided by n, and a warning says so.

Comparison: the graph of an .onnx file is run by onnxruntime next to the imported network, both on three generated images. If the logits differ, nothing
is imported and the message names the first layer that differs. "not compared: …" says why if that is not possible.

The run can be used with: alexnet evaluate --run RUN --data DATA; alexnet export --run RUN; alexnet train --from RUN --data DATA --out OTHER`;

export function importCommand(): Command {
  return new Command('import')
    .description('Make a run from other weights: a file of "alexnet export", an ONNX Model Zoo AlexNet, torchvision.')
    .argument('<file>', 'weights: .onnx or .safetensors')
    .requiredOption('--model <name>', `network for the weights: ${Object.keys(NETWORKS).join(', ')}`)
    .requiredOption('--out <run>', 'folder of the run to write')
    .option(
      '--labels <file>',
      'names of the classes, one per line or a JSON array (default: the file\'s, else "class 0" …)',
    )
    .addOption(
      new Option('--channels <order>', 'order of channels that conv1 learnt (default: below)').choices(['rgb', 'bgr']),
    )
    .option('--mean <r,g,b>', 'mean that was subtracted from pixels, R,G,B in 0 … 255 (default: below)', colour)
    .option('--std <r,g,b>', 'what the difference was divided by, R,G,B in 0 … 255 (default: below)', positiveColour)
    .addOption(
      new Option(
        '--lrn <reading>',
        'response normalisation: alpha as it stands, or divided by the window as in Caffe, PyTorch and ONNX (default: below)',
      ).choices(['printed', 'code']),
    )
    .option('--lrn-k <k>', 'k of response normalisation, ONNX calls it bias (default: below)', number)
    .option('--lrn-alpha <alpha>', 'alpha of response normalisation (default: below)', number)
    .option('--lrn-beta <beta>', 'power of response normalisation (default: below)', number)
    .addOption(providerOption())
    .option('--force', 'replace the run in --out', false)
    .option('--json', 'print the report as one JSON line', false)
    .addHelpText('after', DETAILS)
    .action(async (file: string, flags: Omit<ImportRequest, 'file'> & { json: boolean }) => {
      const { json, ...request } = flags;
      const report = await importRun({ ...request, file });
      for (const warning of report.warnings) console.error(`warning: ${warning}`);
      console.log(json ? JSON.stringify(toJson(report)) : describeImport(report));
    });
}

function colour(text: string): Rgb {
  const values = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (values.length === 3 && values.every(Number.isFinite)) return values as Rgb;
  throw new InvalidArgumentError(`Expected three numbers R,G,B such as 123.7,116.3,103.5, got "${text}".`);
}

function number(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new InvalidArgumentError(`Expected a number, got "${text}".`);
}

function positiveColour(text: string): Rgb {
  const values = colour(text);
  if (values.every((value) => value > 0)) return values;
  throw new InvalidArgumentError(`Expected three numbers above 0, got "${text}".`);
}

function toJson({ compared, notCompared, ...report }: ImportReport): object {
  const difference = compared && { images: compared.pictures, max_abs: compared.maxAbs, max_rel: compared.maxRel };
  return { ...report, compared: difference, not_compared: notCompared };
}

function describeImport({
  run,
  model,
  file,
  classes,
  parameters,
  channels,
  own,
  compared,
  notCompared,
}: ImportReport): string {
  const origin = own ? 'a file of "alexnet export"' : `channels ${channels}`;
  const checked = compared
    ? `compared: largest difference ${compared.maxRel.toExponential(1)} of the largest logit, on ${compared.pictures} generated images`
    : `not compared: ${notCompared}`;
  const what = `${model}, ${classes} classes, ${parameters.toLocaleString('en-US')} weights from ${file} (${origin})`;
  return `${run}: ${what}\n${checked}`;
}
