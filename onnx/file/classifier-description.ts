/** How a classifier is fed and what its output is, kept in the file: what config.json says next to other models. */
import type { CropCount } from '../../base/crops.js';
import type { Resampling, Size } from '../../base/image/resample.js';

/** See "Other classifiers" in docs/serve.md for what each key means, and its default. */
export interface ClassifierDescription {
  /** One a class, in the order of the output; default: their numbers. */
  labels?: readonly string[];
  /** Of ImageNet, one a class. */
  synsets?: readonly string[];
  input?: {
    size?: number | Size;
    resize?: number | Size;
    resample?: Resampling;
    layout?: 'NCHW' | 'NHWC';
    channels?: 'GREY' | 'RGB' | 'BGR' | 'RGBA';
    /** float32 inputs are (x · scale − mean) / std for x in 0 … 255; default 1/255, 0 and 1. */
    scale?: number;
    mean?: number | readonly number[];
    std?: number | readonly number[];
  };
  /** Their probabilities are averaged; see `cropsOf`. Default 1. */
  crops?: CropCount;
  output?: { name?: string; activation?: 'softmax' | 'sigmoid' | 'none' };
}

/** Among `metadata_props`. */
export const CLASSIFIER_KEY = 'classifier';
