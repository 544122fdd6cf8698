/** The commands `alexnet filters`, `occlude`, `index` and `neighbours`: views as files. */
import { Command } from 'commander';
import { UsageError } from '../base/errors.js';
import { showProgress } from '../base/progress.js';
import { checkReplaceable } from '../base/replaceable.js';
import { DEFAULTS } from '../serve/server.js';
import { DATA_HELP, openDataset } from '../train/data/open-dataset.js';
import { reportDataset } from '../train/start/open-data.js';
import { positiveInteger, wholeNumber } from './flag-types.js';

const MODEL_HELP = 'the .onnx file, ours or with a config.json beside';
const OUT_HELP = 'drawing: .png (pictures alone), .svg or .html';
const { maxPixels } = DEFAULTS;

export function filtersCommand(): Command {
  return new Command('filters')
    .description("Draw the first convolution's kernels as in Figure 3 of the paper, the two GPUs' apart.")
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--out <file>', OUT_HELP)
    .option('--layer <name>', 'layer that reads the three colours (default: the first)')
    .option('--json', 'print one JSON object')
    .action(async ({ model, out, layer, json }: { model: string; out: string; layer?: string; json?: boolean }) => {
      const { drawFilters } = await import('../serve/views/draw/draw-filters.js');
      const report = await drawFilters({ file: model, maxPixels }, out, layer);
      const apart = report.groups > 1 ? `, ${report.groups} groups` : '';
      console.log(json ? JSON.stringify(report) : `${out}: ${report.count} kernels of ${report.layer}${apart}`);
    });
}

interface OccludeFlags {
  model: string;
  out?: string;
  class?: string;
  crop?: number;
  patch?: number;
  stride?: number;
  json?: boolean;
}

export function occludeCommand(): Command {
  return new Command('occlude')
    .description(
      "Show what a class rests on: its probability while a grey patch covers each place of the picture's centre crop.",
    )
    .argument('<image>', 'JPEG, PNG or WebP file')
    .requiredOption('--model <file>', MODEL_HELP)
    .option('--out <file>', OUT_HELP)
    .option('--class <name>', 'label or number of the class (default: the most probable)')
    .option('--crop <n>', "position in the model's list of crops (default: the centre)", wholeNumber)
    .option('--patch <pixels>', 'side of the patch (default: a seventh of the crop)', positiveInteger)
    .option('--stride <pixels>', 'from one place to the next (default: half the patch)', positiveInteger)
    .option('--json', 'print one JSON object with every probability')
    .action(async (image: string, { model, json, ...flags }: OccludeFlags) => {
      const { occludeFile } = await import('../serve/views/occlude-file.js');
      const progress = showProgress();
      const onProgress = (done: number, total: number) => progress.work('places covered', done, total);
      const report = await occludeFile({ file: model, maxPixels }, image, { ...flags, onProgress });
      progress.stop();
      const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
      const { lowest, probability, x, y } = report;
      const text = `${image}: ${report.class.label} ${percent(probability)}; ${percent(lowest.probability)} with the patch of ${report.patch} pixels at x ${x[lowest.column]}, y ${y[lowest.row]} of the crop`;
      console.log(json ? JSON.stringify(report) : text);
    });
}

interface IndexFlags {
  model: string;
  data: string;
  split: string;
  out: string;
  json?: boolean;
}

export function indexCommand(): Command {
  return new Command('index')
    .description(
      'Keep what a network makes of the pictures of a data set: for nearest pictures, and the strongest ones of each unit.',
    )
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--data <data>', DATA_HELP)
    .requiredOption('--out <file>', 'file of the index')
    .option('--split <name>', 'part of the data', 'train')
    .option('--json', 'print one JSON object')
    .action(async ({ model, data, split, out, json }: IndexFlags) => {
      const { MAGIC } = await import('../serve/views/index/index-file.js');
      const isIndex = (start: Buffer) => start.subarray(0, MAGIC.length).equals(MAGIC);
      await checkReplaceable(out, 'an index of "alexnet index"', isIndex);
      const { CropNetwork } = await import('../serve/views/engine/crop-network.js');
      const { buildIndex } = await import('../serve/views/index/build-index.js');
      const { splitPictures } = await import('../serve/views/index/split-pictures.js');
      const network = await CropNetwork.open({ file: model, maxPixels });
      const progress = showProgress();
      const dataset = await openDataset(data, { imagePx: network.model.imagePx, splits: [split] });
      reportDataset(dataset, progress);
      const pictures = splitPictures(dataset, split);
      const onProgress = (done: number, total: number) => progress.work('pictures indexed', done, total);
      const header = await buildIndex(network, pictures, out, { onProgress });
      progress.stop();
      await network.release();
      const { layer, dimension, pictures: count, graph } = header;
      const method = graph ? 'hnsw' : 'exact';
      const report = { out, layer, dimension, pictures: count, data, split, method };
      console.log(
        json ? JSON.stringify(report) : `${out}: ${count} pictures, ${layer} of ${dimension} numbers, search ${method}`,
      );
    });
}

interface NeighboursFlags {
  model: string;
  index: string;
  k: number;
  out?: string;
  json?: boolean;
}

const MOST = 50;

export function neighboursCommand(): Command {
  return new Command('neighbours')
    .description('Find the pictures of an index that the network finds most like one, as in Figure 4 of the paper.')
    .argument('<image>', 'JPEG, PNG or WebP file')
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--index <file>', 'made by "alexnet index" with the same model')
    .option('-k, --k <n>', `how many, at most ${MOST}`, positiveInteger, 9)
    .option('--out <file>', OUT_HELP)
    .option('--json', 'print one JSON object')
    .action(async (image: string, { model, index, k, out, json }: NeighboursFlags) => {
      if (k > MOST) throw new UsageError(`-k: expected at most ${MOST}, got ${k}`);
      const { neighboursOfFile } = await import('../serve/views/neighbours-of-file.js');
      const report = await neighboursOfFile({ file: model, index, maxPixels }, image, k, out);
      const lines = report.neighbours.map(
        ({ name, label, distance }) => `  ${distance.toPrecision(6).padStart(10)}  ${label}  ${name}`,
      );
      console.log(
        json ? JSON.stringify(report) : [`${image}: ${report.layer}, ${report.indexed} pictures`, ...lines].join('\n'),
      );
    });
}
