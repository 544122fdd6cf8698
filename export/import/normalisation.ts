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

/** What a person said; the rest follows from the file. */
export interface InputFlags {
  channels?: 'rgb' | 'bgr';
  mean?: Rgb;
  std?: Rgb;
}

export function normalisationOf(source: Source, spec: NetworkSpec, flags: InputFlags): Normalisation {
  const { own, graph, habits, meanRgb } = source;
  const isCaffe = habits === 'caffe' || CAFFE2.includes((graph?.producer ?? '').toLowerCase());
  const byFile = isCaffe ? 'bgr' : 'rgb';
  const channelOrder = flags.channels ?? (own ? 'rgb' : byFile);
  if (own) return { channelOrder, mean: flags.mean ?? own.meanRgb ?? [0, 0, 0], std: flags.std ?? NO_STD };
  if (meanRgb) return { channelOrder, mean: flags.mean ?? meanRgb, std: flags.std ?? NO_STD };
  if (spec.name === 'alexnet-torchvision') {
    return { channelOrder, mean: flags.mean ?? TORCHVISION_MEAN, std: flags.std ?? TORCHVISION_STD };
  }
  const std = flags.std ?? NO_STD;
  if (flags.mean) return { channelOrder, mean: flags.mean, std };
  if (channelOrder === 'bgr') return { channelOrder, mean: CAFFE_MEAN, std };
  const warning = `the file does not say which mean was subtracted; taken is ImageNet's, ${TORCHVISION_MEAN.map((v) => v.toFixed(1))}; give --mean R,G,B (0,0,0 for none)`;
  return { channelOrder, mean: TORCHVISION_MEAN, std, warning };
}
