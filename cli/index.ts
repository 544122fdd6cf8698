/** The command `alexnet index`. */
import { Command } from 'commander';
import { type Progress, showProgress } from '../base/progress.js';
import { checkReplaceable } from '../base/replaceable.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import type { IndexHeader } from '../serve/views/index/index-file.js';
import { DATA_HELP, openDataset } from '../train/data/open-dataset.js';
import { reportDataset } from '../train/start/open-data.js';
import { type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { providerOption } from './provider-flag.js';
import { MODEL_HELP, maxPixels } from './view-flags.js';

interface IndexRequest extends DataFlags {
  model: string;
  data: string;
  split: string;
  out: string;
  provider?: ProviderChoice;
}

export function indexCommand(): Command {
  const command = new Command('index')
    .description(
      'Store the features of all images of a data set, to find the nearest images and the strongest ones of each unit.',
    )
    .optionsGroup('Model and index:')
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--out <file>', 'file of the index')
    .optionsGroup('Data:')
    .requiredOption('--data <data>', DATA_HELP);
  return dataOptions(command)
    .option('--split <name>', 'part of the data', 'train')
    .optionsGroup('Computing and output:')
    .addOption(providerOption())
    .option('--json', 'print one JSON object')
    .action(async ({ json, ...request }: IndexRequest & { json?: boolean }) => {
      const { out, data, split } = request;
      const { layer, dimension, pictures: count, graph } = await writeIndex(request, showProgress());
      const method = graph ? 'hnsw' : 'exact';
      const report = { out, layer, dimension, pictures: count, data, split, method };
      console.log(
        json ? JSON.stringify(report) : `${out}: ${count} images, ${layer} of ${dimension} numbers, search ${method}`,
      );
    });
}

/** @throws {UserError} if `out` is something else than an index, or the model cannot be looked into */
export async function checkIndexPlace(out: string): Promise<void> {
  const { MAGIC } = await import('../serve/views/index/index-file.js');
  const isIndex = (start: Buffer) => start.subarray(0, MAGIC.length).equals(MAGIC);
  await checkReplaceable(out, 'an index of "alexnet index"', isIndex);
}

/** @returns what the file says of itself */
export async function writeIndex(request: IndexRequest, progress: Progress): Promise<IndexHeader> {
  const { model, data, split, out, provider, ...flags } = request;
  await checkIndexPlace(out);
  const { CropNetwork } = await import('../serve/views/engine/crop-network.js');
  const { buildIndex } = await import('../serve/views/index/build-index.js');
  const { splitImages } = await import('./split-images.js');
  const network = await CropNetwork.open({ file: model, maxPixels, provider, log: progress.note });
  const { imagePx } = network.model;
  const resampling = network.file.recipe.decoding.resampling && 'bilinear'; // of a file that can be indexed
  const remote = { note: progress.note };
  const dataset = await openDataset(data, { imagePx, resampling, splits: [split], remote, ...dataChoice(flags) });
  reportDataset(dataset, progress);
  const images = splitImages(dataset, split);
  const onProgress = (done: number, total: number) => progress.work('images indexed', done, total);
  const header = await buildIndex(network, images, out, { onProgress });
  progress.stop();
  await network.release();
  return header;
}
