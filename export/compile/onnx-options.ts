/** What `exportOnnx` takes besides a model. Apart, so that programs read it without the declarations of tfjs-layers. */
import type { ClassifierDescription } from '../../onnx/file/classifier-description.js';
import type { Verification } from '../check/check-plan.js';
import type { Layouts } from './boundary.js';
import type { InputSpec } from './model-source.js';

export interface OnnxOptions {
  /** Arguments of a function. The first axis is free if it is null. */
  inputs?: readonly InputSpec[];
  /**
   * Shapes of a model's inputs in place of its own, by name; '' is the only input. For axes that the model leaves free.
   */
  inputShapes?: Readonly<Record<string, InputSpec['shape']>>;
  /** Nodes of a graph model, or layers of a layers model, whose results to give in place of the model's outputs. */
  outputs?: readonly string[];
  /** Names of the results; default: the model's, or `output`, `output1`, … */
  outputNames?: readonly string[];
  /** ONNX operator set, 13 to 22 (default 13). */
  opset?: number;
  /** Response normalisation as ONNX's operator (default) or as a band convolution, equal to 1e-6. */
  lrn?: 'op' | 'conv';
  /** Order of the axes of 4-D inputs and outputs. */
  layout?: Layouts;
  /** A fixed length of the first axis in place of a free one. */
  batch?: number;
  /** Name of the graph. */
  name?: string;
  /** How thoroughly the result is compared with the program: see `VERIFICATIONS`. Default full. */
  verify?: Verification;
  /** Of a classifier of images: `alexnet serve` then needs no config.json next to the file. */
  classifier?: ClassifierDescription;
  /** `metadata_props` of the file. */
  metadata?: Record<string, string>;
}
