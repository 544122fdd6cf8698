/** What a file of weights says, whatever its format: its layers in order, and what is known of input and classes. */
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';

/** A convolution's window as the file has it. */
export interface ConvGeometry {
  strides: readonly number[];
  /** [top, left, bottom, right]; undefined if the file names a rule (`auto_pad`) instead. */
  pads: readonly number[] | undefined;
  groups: number;
}

/** A pooling window as the file has it. */
export interface PoolGeometry {
  size: number;
  stride: number;
  pad: number;
}

export interface SourceLayer {
  kind: 'conv' | 'fc' | 'local';
  /**
   * conv: OIHW [out, in / groups, h, w]; fc: [in, out], or [out, in] where `transposed`; local: [places, h · w · in,
   * out].
   */
  kernel: StoredTensor;
  bias?: StoredTensor;
  transposed?: boolean;
  /** Order in which an image is laid out before the first fully connected layer. */
  flattened?: 'chw' | 'hwc';
  geometry?: ConvGeometry;
  /** Name of what the layer gives, bias added, in a graph. */
  value?: string;
}

/** A value that crops can be fed as, [rows, 3, height, width]. */
export interface FedValue {
  name: string;
  type: 'float32' | 'float16';
  /** Where the graph fixes their number. */
  rows?: number;
  /** Operators that make it from the graph's input. */
  preparedBy: string[];
}

/** y = x / (bias + alpha / size · Σ x²)^beta over `size` channels. */
export interface SourceLrn {
  size: number;
  alpha: number;
  beta: number;
  bias: number;
}

/** What a file that `alexnet export` wrote says besides. */
export interface OwnRecord {
  model: string;
  labels: string[];
  synsets?: string[];
  dataset?: string;
  top1Error?: number;
  top5Error?: number;
  measuredOn?: object;
  resampling?: 'bilinear';
  /** Crops that the file averages itself; absent if it leaves that to others. */
  crops?: number;
  /** R, G, B in 0 … 255. */
  meanRgb?: [number, number, number];
  /** Per-pixel mean [imagePx, imagePx, 3], if the file subtracts it itself. */
  mean?: StoredTensor;
}

/** Kinds of layers whose order matters. */
export type LayerKind = 'conv' | 'local' | 'fc' | 'lrn' | 'maxpool' | 'avgpool';

export interface Source {
  file: string;
  layers: SourceLayer[];
  /** Weights that belong to no layer this program knows. */
  unused: string[];
  /** All tensors bear names of the network's layers; of files of weights alone. */
  ownNames?: boolean;
  /** Program whose habits the file follows where it says nothing. */
  habits?: 'caffe';
  /** Of response normalisations in order; undefined if the file does not say them. */
  lrns?: SourceLrn[];
  /** Mean that was subtracted, R, G, B in 0 … 255, if the file says it. */
  meanRgb?: [number, number, number];
  /** What the difference was divided by, R, G, B, if the file says it. */
  std?: [number, number, number];
  /** File of the mean, if the file names one. */
  meanFile?: string;
  /** Undefined if the file holds weights only. */
  graph?: {
    /** Program that wrote the file. */
    producer: string;
    order: LayerKind[];
    /** Pooling windows in order, if known. */
    pools?: PoolGeometry[];
    /** Why it cannot be run here. */
    notRun?: string;
    /** Side of the input, pixels, if it is written. */
    inputPx?: number;
    /** What the first convolution reads. */
    fed?: FedValue;
  };
  own?: OwnRecord;
}
