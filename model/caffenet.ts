/**
 * CaffeNet: BVLC/caffe models/bvlc_reference_caffenet (train_val.prototxt, solver.prototxt), 57.4 % top-1 and 80.4 %
 * top-5 right on the centre crop. AlexNet with pooling before normalisation, k = 1 and α divided by the window, and fc6
 * and fc7 started with stddev 0.005. 60,965,224 parameters at 1000 classes.
 */
import type { NetworkSpec } from './spec.js';

/** Caffe divides α = 1e-4 by the window of 5. */
const ALPHA = 1e-4 / 5;

export const CAFFENET: NetworkSpec = {
  name: 'caffenet',
  source: 'BVLC/caffe models/bvlc_reference_caffenet',
  inputPx: 227,
  imagePx: 256,
  classes: 1000,
  rows: [
    { type: 'conv', name: 'conv1', channels: 96, kernel: 11, stride: 4, pad: 0, relu: true, stddev: 0.01, bias: 0 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'valid' },
    { type: 'lrn', name: 'norm1', depthRadius: 2, bias: 1, alpha: ALPHA, beta: 0.75 },
    { type: 'conv', name: 'conv2', channels: 256, kernel: 5, pad: 2, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'maxpool', name: 'pool2', size: 3, stride: 2, pad: 'valid' },
    { type: 'lrn', name: 'norm2', depthRadius: 2, bias: 1, alpha: ALPHA, beta: 0.75 },
    { type: 'conv', name: 'conv3', channels: 384, kernel: 3, pad: 1, relu: true, stddev: 0.01, bias: 0 },
    { type: 'conv', name: 'conv4', channels: 384, kernel: 3, pad: 1, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'conv', name: 'conv5', channels: 256, kernel: 3, pad: 1, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'maxpool', name: 'pool5', size: 3, stride: 2, pad: 'valid' },
    { type: 'fc', name: 'fc6', units: 4096, relu: true, stddev: 0.005, bias: 1 },
    { type: 'dropout', name: 'drop6', rate: 0.5 },
    { type: 'fc', name: 'fc7', units: 4096, relu: true, stddev: 0.005, bias: 1 },
    { type: 'dropout', name: 'drop7', rate: 0.5 },
    { type: 'fc', name: 'fc8', units: 'classes', relu: false, stddev: 0.01, bias: 0 },
  ],
  recipe: {
    learningRate: 0.01, // base_lr
    batch: 256, // batch_size
    momentum: 0.9,
    weightDecay: 0.0005, // biases: decay_mult 0
    biasLearningRateFactor: 2, // lr_mult 2
    epochs: 90, // max_iter 450,000 of 256 in 1,281,167 images
    schedule: 'step',
    milestones: [20, 40, 60, 80], // stepsize 100,000: every 19.98 epochs
    randomCrop: true,
    mirror: true,
    colourNoise: 0,
  },
};
