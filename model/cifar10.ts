/**
 * The small networks for CIFAR-10 (32×32 pixels). Sources: cuda-convnet's example-layers (layers-18pct.cfg,
 * layers-conv-local-11pct.cfg and their layer-params), Caffe's examples/cifar10. All subtract the mean image.
 * Pooling 3/2 there rounds its output up; padding `same` gives the same windows on even sides.
 */
import type { NetworkSpec } from './spec.js';

/** 18 % test error without augmentation. Its normalisation works within a map, not across channels. */
export const CIFAR10_18PCT: NetworkSpec = {
  name: 'cifar10-18pct',
  source: 'cuda-convnet example-layers/layers-18pct.cfg',
  inputPx: 32,
  imagePx: 32,
  classes: 10,
  rows: [
    { type: 'conv', name: 'conv1', channels: 32, kernel: 5, pad: 2, relu: false, stddev: 0.0001, bias: 0 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'same' },
    { type: 'relu', name: 'relu1' },
    { type: 'rnorm', name: 'rnorm1', size: 3, scale: 5e-5, pow: 0.75 },
    { type: 'conv', name: 'conv2', channels: 32, kernel: 5, pad: 2, relu: true, stddev: 0.01, bias: 0 },
    { type: 'avgpool', name: 'pool2', size: 3, stride: 2, pad: 'same' },
    { type: 'rnorm', name: 'rnorm2', size: 3, scale: 5e-5, pow: 0.75 },
    { type: 'conv', name: 'conv3', channels: 64, kernel: 5, pad: 2, relu: true, stddev: 0.01, bias: 0 },
    { type: 'avgpool', name: 'pool3', size: 3, stride: 2, pad: 'same' },
    { type: 'fc', name: 'fc10', units: 'classes', relu: false, stddev: 0.01, bias: 0 },
  ],
  recipe: {
    learningRate: 0.001, // epsW
    batch: 128, // cuda-convnet's default minibatch
    momentum: 0.9, // momW, momB
    weightDecay: 0.004, // wc
    weightDecayByLayer: { fc10: 1 }, // wc
    biasLearningRateFactor: 2, // epsB 0.002
    epochs: 140,
    schedule: 'step',
    milestones: [120, 130], // "by factor of 10 after 120 epochs. Then another factor of 10 after 10 more"
    randomCrop: false,
    mirror: false,
    colourNoise: 0,
  },
};

/** 11 % test error with 24×24 crops and mirror images, two untied layers and normalisation across 9 channels. */
export const CIFAR10_11PCT: NetworkSpec = {
  name: 'cifar10-11pct',
  source: 'cuda-convnet example-layers/layers-conv-local-11pct.cfg',
  inputPx: 24,
  imagePx: 32,
  classes: 10,
  rows: [
    { type: 'conv', name: 'conv1', channels: 64, kernel: 5, pad: 2, relu: true, stddev: 0.0001, bias: 0 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'same' },
    // scale 0.001, divided by size
    { type: 'lrn', name: 'rnorm1', depthRadius: 4, bias: 1, alpha: 0.001 / 9, beta: 0.75 },
    { type: 'conv', name: 'conv2', channels: 64, kernel: 5, pad: 2, relu: true, stddev: 0.01, bias: 0 },
    { type: 'lrn', name: 'rnorm2', depthRadius: 4, bias: 1, alpha: 0.001 / 9, beta: 0.75 },
    { type: 'maxpool', name: 'pool2', size: 3, stride: 2, pad: 'same' },
    { type: 'local', name: 'local3', channels: 64, kernel: 3, pad: 1, relu: true, stddev: 0.04, bias: 0 },
    { type: 'local', name: 'local4', channels: 32, kernel: 3, pad: 1, relu: true, stddev: 0.04, bias: 0 },
    { type: 'fc', name: 'fc10', units: 'classes', relu: false, stddev: 0.01, bias: 0 },
  ],
  recipe: {
    learningRate: 0.001, // epsW
    batch: 128, // cuda-convnet's default minibatch
    momentum: 0.9,
    weightDecay: 0, // wc of conv1 and conv2
    weightDecayByLayer: { local3: 0.004, local4: 0.004, fc10: 0.01 }, // wc
    biasLearningRateFactor: 2, // epsB 0.002
    epochs: 520, // "about 350" on four fifths of the images, "about 150 more" on all, then 10 and 10 at lower rates
    schedule: 'step',
    milestones: [500, 510],
    randomCrop: true,
    mirror: true,
    colourNoise: 0,
  },
};

/** Caffe's quick network, 75 % right after ten epochs. Its fully connected layers are called ip1 and ip2 there. */
export const CIFAR10_QUICK: NetworkSpec = {
  name: 'cifar10-quick',
  source: 'BVLC/caffe examples/cifar10/cifar10_quick_train_test.prototxt',
  inputPx: 32,
  imagePx: 32,
  classes: 10,
  rows: [
    { type: 'conv', name: 'conv1', channels: 32, kernel: 5, pad: 2, relu: false, stddev: 0.0001, bias: 0 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'same' },
    { type: 'relu', name: 'relu1' },
    { type: 'conv', name: 'conv2', channels: 32, kernel: 5, pad: 2, relu: true, stddev: 0.01, bias: 0 },
    { type: 'avgpool', name: 'pool2', size: 3, stride: 2, pad: 'same' },
    { type: 'conv', name: 'conv3', channels: 64, kernel: 5, pad: 2, relu: true, stddev: 0.01, bias: 0 },
    { type: 'avgpool', name: 'pool3', size: 3, stride: 2, pad: 'same' },
    { type: 'fc', name: 'fc64', units: 64, relu: false, stddev: 0.1, bias: 0 }, // no ReLU: so the file has it
    { type: 'fc', name: 'fc10', units: 'classes', relu: false, stddev: 0.1, bias: 0 },
  ],
  recipe: {
    learningRate: 0.001, // base_lr
    batch: 100, // batch_size
    momentum: 0.9,
    weightDecay: 0.004, // of biases as well in the file
    biasLearningRateFactor: 2, // lr_mult 2
    epochs: 10,
    schedule: 'step',
    milestones: [8], // 4000 iterations, then 1000 at a tenth
    randomCrop: false,
    mirror: false,
    colourNoise: 0,
  },
};
