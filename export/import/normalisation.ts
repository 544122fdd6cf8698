/** What a network's authors did to pixels before conv1, by the program that wrote the file. */
import type { NetworkSpec } from '../../model/spec.js';
import type { Source } from './source.js';

export type Rgb = [number, number, number];

/** conv1 was learnt on (x − mean) / std with channels in the order given; x, mean and std in 0 … 255. */
export interface Normalisation {
  channelOrder: 'rgb' | 'bgr';
  /** R, G, B. */
  mean: Rgb;
  std: Rgb;
  /** How images are resized, unless as in training. */
  resampling?: 'bilinear';
  /** Where `mean` was guessed: a line that says so. */
  warning?: string;
}

/** Caffe's imagenet_mean.binaryproto averaged over the image. */
const CAFFE_MEAN: Rgb = [122.67891434, 116.66876762, 104.00698793];
/** torchvision's ImageNet preset, there for pixels in 0 … 1. */
const TORCHVISION_MEAN: Rgb = [0.485 * 255, 0.456 * 255, 0.406 * 255];
const TORCHVISION_STD: Rgb = [0.229 * 255, 0.224 * 255, 0.225 * 255];
const NO_STD: Rgb = [1, 1, 1];

const CAFFE2 = ['caffe2', 'onnx-caffe2'];

/** Name of that file. */
const CAFFE_MEAN_FILE = /(^|[\\/])imagenet_mean\.binaryproto$/;

/** What a person said; the rest follows from the file. */
export interface InputFlags {
  channels?: 'rgb' | 'bgr';
  mean?: Rgb;
  std?: Rgb;
}

/** Order of the channels that conv1 learnt. */
export function channelOrderOf({ own, graph, habits }: Source, { channels }: InputFlags): 'rgb' | 'bgr' {
  const isCaffe = habits === 'caffe' || CAFFE2.includes((graph?.producer ?? '').toLowerCase());
  return channels ?? (isCaffe && !own ? 'bgr' : 'rgb');
}

export function normalisationOf(source: Source, spec: NetworkSpec, flags: InputFlags): Normalisation {
  const { own } = source;
  const channelOrder = channelOrderOf(source, flags);
  const isTorchvision = spec.name === 'alexnet-torchvision' && source.habits === undefined;
  const std = flags.std ?? source.std ?? (isTorchvision && !own ? TORCHVISION_STD : NO_STD);
  const stated = flags.mean ?? (own ? (own.meanRgb ?? ([0, 0, 0] as Rgb)) : source.meanRgb);
  const resampling = own ? own.resampling : isTorchvision ? 'bilinear' : undefined;
  if (stated) return { channelOrder, mean: stated, std, resampling };
  if (isTorchvision) return { channelOrder, mean: TORCHVISION_MEAN, std, resampling };
  const [mean, whose] =
    channelOrder === 'bgr' ? [CAFFE_MEAN, "Caffe's for ImageNet"] : [TORCHVISION_MEAN, "ImageNet's"];
  const warning = guessOf(source, channelOrder, whose, mean);
  return { channelOrder, mean, std, ...(warning ? { warning } : {}) };
}

/** What a person should check; nothing if the file's own program would take the same. */
function guessOf({ graph, habits, meanFile }: Source, order: string, whose: string, mean: Rgb): string | undefined {
  const taken = `taken is ${whose}, R,G,B ${mean.map((value) => value.toFixed(1))}`;
  if (meanFile && !CAFFE_MEAN_FILE.test(meanFile)) return `the mean is in "${meanFile}"; ${taken}; give --mean FILE`;
  if (order === 'bgr' && (graph || habits === undefined)) return undefined;
  const channels =
    habits === 'caffe' ? 'the file does not say the order of channels; taken is B, G, R as in Caffe; ' : '';
  return `${channels}the file does not say which mean was subtracted; ${taken}; give --mean R,G,B (0,0,0 for none)`;
}
