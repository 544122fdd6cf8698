/** The command `alexnet import`: weights from elsewhere as a run's folder. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Progress, showProgress, silentProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import type { Compared } from '../export/import/compare-outputs.js';
import { fetchWeights, KNOWN_WEIGHTS } from '../export/import/fetch-weights.js';
import { type ImportOptions, importNetwork } from '../export/import/import-network.js';
import { isMeanFile } from '../export/import/mean-file.js';
import type { Rgb } from '../export/import/normalisation.js';
import { FORMATS } from '../export/import/open-source.js';
import { writeRun } from '../export/import/write-run.js';
import { findNetwork, NETWORKS } from '../model/registry.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { startBackend } from '../onnx/backend/select-backend.js';
import type { RemoteOptions } from '../train/data/remote/options.js';
import { checkFree } from '../train/run/run-folder.js';
import { lockRun } from '../train/run/run-lock.js';
import { nonNegativeNumber, positiveNumber } from './flag-types.js';
import { providerOption } from './provider-flag.js';

/** What the user asked for. */
export interface ImportRequest extends ImportOptions {
  /** Path, URL or a name of `KNOWN_WEIGHTS`. */
  file: string;
  /** Default: the network whose layers the file has. */
  model?: string;
  /** The run's folder. */
  out: string;
  /** Replace the run in `out`. */
  force: boolean;
  /** How a URL is fetched. */
  remote?: Partial<RemoteOptions>;
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
export async function importRun(request: ImportRequest, progress = silentProgress): Promise<ImportReport> {
  if (request.model !== undefined) findNetwork(request.model);
  await checkFree(request.out, request.force);
  const unlock = await lockRun(request.out);
  try {
    return await importInto(request, progress);
  } finally {
    await unlock();
  }
}

async function importInto(
  { out, force: _, remote, provider, ...options }: ImportRequest,
  progress: Progress,
): Promise<ImportReport> {
  const { path: file, model: known } = await fetchWeights(options.file, progress, remote);
  const model = options.model ?? known;
  const note = provider ? progress.note : () => undefined;
  await startBackend({ backend: 'onnxruntime', provider, fixed: true }, note);
  const imported = await importNetwork(file, model === undefined ? undefined : findNetwork(model), options);
  try {
    const run = await writeRun(out, file, imported);
    return {
      run: run.path,
      model: imported.spec.name,
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
  .onnx         from "alexnet export": weights, labels and mean come back bit
                for bit. From another program, such as the ONNX Model Zoo's
                bvlc_alexnet and caffenet: layers are found by the graph's
                structure, not by name; external data next to the file is read.
  .pth, .pt     of PyTorch, every form: a state dict, a checkpoint with
                "state_dict", a whole module, TorchScript. Nothing in the file
                is run: what is neither a tensor nor a container is refused by
                name.
  .caffemodel   of Caffe. Groups, windows and constants are those of its layers,
                else of NAME.prototxt, deploy.prototxt or train_val.prototxt
                next to it.
  .npy, .npz    dictionaries of arrays, {"conv1": [kernel, bias], …}, as
                bvlc_alexnet.npy.
  .safetensors  tensors as in a state dict.

  Names of tensors are torchvision's, or the network's layers: conv1.weight,
  conv1/kernel, conv1_W; prefixes such as "module." are left out. PyTorch's and
  TensorFlow's order of axes are told apart by shape. Floats of 16, 32 and 64
  bits are read; weights are kept as float32. .h5 is refused with the line that
  converts it.

URLs are fetched into ALEXNET_CACHE (default ~/.cache/alexnet), go on where they
were cut, and are not fetched twice. A name such as alexnet-owt-7be5be79.pth
says how the file's SHA-256 begins, which is checked. Known names, with their
publishers' hashes:
${Object.entries(KNOWN_WEIGHTS)
  .map(([name, { url, model, megabytes }]) => `  ${name.padEnd(14)}${model}, ${megabytes} MB\n    ${url}`)
  .join('\n')}

Input: our networks read R, G, B in 0 … 255 minus a mean. A file that learnt
(x − mean) / std has conv1 divided by std, which computes the same. Defaults if
--channels, --mean and --std are absent (mean and std as R,G,B in 0 … 255):
  of "alexnet export"  rgb, the file's own mean, std 1
  Caffe's, also as     bgr, mean_value and scale of the file, else mean
  .npy or by Caffe2    122.67891434,116.66876762,104.00698793, std 1
  alexnet-torchvision  mean 123.675,116.28,103.53, std 58.395,57.12,57.375;
                       served images are resized bilinearly, as there
  other                rgb, ImageNet's mean with a warning, std 1
A mean FILE has its channels in the network's order, [3] or [3, height, width];
it is subtracted pixel by pixel if it has the size of the image.

Classes: a network of 1000 classes gets ImageNet's, with synset ids, unless its
file or --labels has others.

Response normalisation, y = x / (k + alpha/n · Σ x²)^beta over n channels:
constants are taken from an .onnx file's graph, a .caffemodel's layers or a
PyTorch module that was saved whole, and kept in the run. Other files have none:
if no --lrn flag is given they are Caffe's for files in Caffe's manner, else the
network's with alpha divided by n, and a warning says so.

Comparison: the graph of an .onnx file is run by onnxruntime next to the
imported network, both on three generated images. If the logits differ, nothing
is imported and the message names the first layer that differs. "not
compared: …" says why if that is not possible.

The run can be used with: alexnet evaluate --run RUN --data DATA; alexnet export
--run RUN; alexnet train --from RUN --data DATA --out OTHER`;

export function importCommand(): Command {
  return new Command('import')
    .description('Make a run from other weights: PyTorch, Caffe, NumPy, ONNX, or a file of "alexnet export".')
    .argument('<file>', `weights: a file (${FORMATS}), a URL, or ${Object.keys(KNOWN_WEIGHTS).join(' or ')}`)
    .optionsGroup('Run:')
    .option(
      '--model <name>',
      `network for the weights: ${Object.keys(NETWORKS).join(', ')} (default: the one whose layers the file has)`,
    )
    .requiredOption('--out <run>', 'folder of the run to write')
    .option(
      '--labels <file>',
      'names of the classes, one per line or a JSON array (default: the file\'s, ImageNet\'s for 1000, else "class 0" …)',
    )
    .option('--force', 'replace the run in --out', false)
    .optionsGroup('Input that the weights expect:')
    .addOption(
      new Option('--channels <order>', 'order of channels that conv1 learnt (default: below)').choices(['rgb', 'bgr']),
    )
    .option(
      '--mean <r,g,b|file>',
      'mean that was subtracted from pixels, R,G,B in 0 … 255, or a .binaryproto or .npy file of it (default: below)',
      colourOrFile,
    )
    .option('--std <r,g,b>', 'what the difference was divided by, R,G,B in 0 … 255 (default: below)', positiveColour)
    .optionsGroup('Response normalisation:')
    .addOption(
      new Option(
        '--lrn <reading>',
        'alpha as it stands, or divided by the window as in Caffe, PyTorch and ONNX (default: below)',
      ).choices(['printed', 'code']),
    )
    .option('--lrn-k <k>', 'k, above 0, which ONNX calls bias (default: below)', positiveNumber)
    .option('--lrn-alpha <alpha>', 'alpha, 0 or more (default: below)', nonNegativeNumber)
    .option('--lrn-beta <beta>', 'beta, the power, above 0 (default: below)', positiveNumber)
    .optionsGroup('Computing and output:')
    .addOption(providerOption())
    .option('--json', 'print the report as one JSON line', false)
    .addHelpText('after', DETAILS)
    .action(async (file: string, flags: Omit<ImportRequest, 'file'> & { json: boolean }) => {
      const { json, ...request } = flags;
      const report = await importRun({ ...request, file }, showProgress());
      for (const warning of report.warnings) console.error(`warning: ${warning}`);
      console.log(json ? JSON.stringify(toJson(report)) : headed(describeImport(report)));
    });
}

function colour(text: string): Rgb {
  const values = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (values.length === 3 && values.every(Number.isFinite)) return values as Rgb;
  throw new InvalidArgumentError(`Expected three numbers R,G,B such as 123.7,116.3,103.5, got "${text}".`);
}

function colourOrFile(text: string): Rgb | string {
  return isMeanFile(text) ? text : colour(text);
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
