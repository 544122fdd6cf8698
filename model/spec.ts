/**
 * The form of a network's table: one row a layer, from the image to the logits, with what the source says about its
 * weights and its training. `network.ts` builds a table, `summary.ts` counts it. No TensorFlow.js here.
 */

export type NetworkName =
  | 'alexnet'
  | 'alexnet-torchvision'
  | 'caffenet'
  | 'cifar10-18pct'
  | 'cifar10-11pct'
  | 'cifar10-quick';

/** Zeros around an image: pixels on each side, none, or as many as give ceil(size / stride) windows. */
export type Pad = number | 'valid' | 'same';

/**
 * Standard deviation of a normal distribution with mean 0; or `fan-in`, PyTorch's default: kernel and bias uniform
 * within ± 1 / √(inputs of one output).
 */
export type KernelInit = number | 'fan-in';

/** How α of AlexNet's response normalisation is read, see `alexnet.ts`. */
export type LrnConvention = 'printed' | 'code';

/** Constants of one response normalisation, see `LrnRow`. */
export interface LrnConstants {
  depthRadius: number;
  bias: number;
  alpha: number;
  beta: number;
}

/**
 * A reading of α for the whole network, or the constants of each of its response normalisations, by the layer's name.
 */
export type LrnChoice = LrnConvention | Record<string, LrnConstants>;

interface Weights {
  relu: boolean;
  stddev: KernelInit;
  /** What every bias starts with; unused if `stddev` is `fan-in`. */
  bias: number;
}

/** Convolution; stride and groups are 1 if not given. `kernel` is the window's side. */
export interface ConvRow extends Weights {
  type: 'conv';
  name: string;
  channels: number;
  kernel: number;
  stride?: number;
  pad: number;
  groups?: number;
}

/** Convolution with stride 1 whose kernel and bias are another at every place ("untied", "locally connected"). */
export interface LocalRow extends Weights {
  type: 'local';
  name: string;
  channels: number;
  kernel: number;
  pad: number;
}

/** Fully connected; `classes` stands for the number of classes, the last layer's units. */
export interface FcRow extends Weights {
  type: 'fc';
  name: string;
  units: number | 'classes';
}

export interface PoolRow {
  type: 'maxpool' | 'avgpool';
  name: string;
  /** Side of the window. */
  size: number;
  stride: number;
  pad: 'valid' | 'same';
}

/** x / (bias + alpha · Σ x²)^beta, the sum over 2 · depthRadius + 1 channels; alpha is not divided by their number. */
export interface LrnRow extends Omit<LrnConstants, 'alpha'> {
  type: 'lrn';
  name: string;
  alpha: number | Record<LrnConvention, number>;
}

/** x / (1 + scale / size² · Σ x²)^pow, the sum over size × size neighbours in the same channel. */
export interface WithinMapRow {
  type: 'rnorm';
  name: string;
  size: number;
  scale: number;
  pow: number;
}

/** An activation on its own, if it does not follow its layer at once, or is no ReLU. */
export interface ActivationRow {
  type: 'relu' | 'tanh';
  name: string;
}

/** Drops each value with probability `rate` in training. */
export interface DropoutRow {
  type: 'dropout';
  name: string;
  rate: number;
}

export type LayerRow = ConvRow | LocalRow | FcRow | PoolRow | LrnRow | WithinMapRow | ActivationRow | DropoutRow;

/**
 * What a training run takes for this network if flags do not say otherwise. Weight decay is meant for kernels; biases
 * do not decay.
 */
export interface Recipe {
  learningRate: number;
  /** Images per update. */
  batch: number;
  momentum: number;
  weightDecay: number;
  /** Weight decay of single layers, by layer name. */
  weightDecayByLayer?: Record<string, number>;
  /** Biases learn at this times the learning rate. */
  biasLearningRateFactor: number;
  /** Passes over the training images. */
  epochs: number;
  /**
   * `plateau`: rate divided by 10 when the validation error stops improving; `step`: after each epoch of `milestones`.
   */
  schedule: 'plateau' | 'step';
  milestones?: number[];
  /** Windows of `inputPx` at random places of the image, else the centre. */
  randomCrop: boolean;
  /** Half of the images mirrored. */
  mirror: boolean;
  /** Colours shifted along their principal components by normal draws of this deviation; 0: never. */
  colourNoise: number;
}

export interface NetworkSpec {
  /** A `NetworkName`, or that of a variant, see `variant.ts`. */
  name: string;
  /** The paper or file that the table follows. */
  source: string;
  /** Side of the network's input, pixels. */
  inputPx: number;
  /** Side of the square image that inputs are cut from, pixels. */
  imagePx: number;
  /** Number of classes it was published with. */
  classes: number;
  rows: LayerRow[];
  recipe: Recipe;
}
