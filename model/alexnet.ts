/**
 * AlexNet: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
 * 60,965,224 parameters at 1000 classes. Departures:
 * - §3.5 says 224-pixel input, but its 55×55 conv1 output needs 227 without padding: (227 − 11) / 4 + 1.
 * - On the paper's two GPUs a normalisation sees the channels of its own half only; here it sees all.
 * - The authors' code (computerhistory/AlexNet-Source-Code) starts conv3 to conv5 with stddev 0.03 and lets biases
 *   learn twice as fast; the table is the paper's.
 */
import type { NetworkSpec } from './spec.js';

/**
 * α of §3.3. `printed` is the formula as printed, k + α · Σ a². The authors' code divides α by n = 5 first, and so gave
 * the published numbers: `code`.
 */
const ALPHA = { printed: 1e-4, code: 1e-4 / 5 };

export const ALEXNET: NetworkSpec = {
  name: 'alexnet',
  source: 'Krizhevsky, Sutskever, Hinton 2012',
  inputPx: 227,
  imagePx: 256,
  classes: 1000,
  rows: [
    { type: 'conv', name: 'conv1', channels: 96, kernel: 11, stride: 4, pad: 0, relu: true, stddev: 0.01, bias: 0 },
    { type: 'lrn', name: 'norm1', depthRadius: 2, bias: 2, alpha: ALPHA, beta: 0.75 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'valid' },
    { type: 'conv', name: 'conv2', channels: 256, kernel: 5, pad: 2, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'lrn', name: 'norm2', depthRadius: 2, bias: 2, alpha: ALPHA, beta: 0.75 },
    { type: 'maxpool', name: 'pool2', size: 3, stride: 2, pad: 'valid' },
    { type: 'conv', name: 'conv3', channels: 384, kernel: 3, pad: 1, relu: true, stddev: 0.01, bias: 0 },
    { type: 'conv', name: 'conv4', channels: 384, kernel: 3, pad: 1, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'conv', name: 'conv5', channels: 256, kernel: 3, pad: 1, groups: 2, relu: true, stddev: 0.01, bias: 1 },
    { type: 'maxpool', name: 'pool5', size: 3, stride: 2, pad: 'valid' },
    { type: 'fc', name: 'fc6', units: 4096, relu: true, stddev: 0.01, bias: 1 },
    { type: 'dropout', name: 'drop6', rate: 0.5 },
    { type: 'fc', name: 'fc7', units: 4096, relu: true, stddev: 0.01, bias: 1 },
    { type: 'dropout', name: 'drop7', rate: 0.5 },
    { type: 'fc', name: 'fc8', units: 'classes', relu: false, stddev: 0.01, bias: 0 },
  ],
  recipe: {
    learningRate: 0.01, // §5
    batch: 128, // §5
    momentum: 0.9, // §5
    weightDecay: 0.0005, // §5
    biasLearningRateFactor: 1, // §5: "an equal learning rate for all layers"
    epochs: 90, // §5: "roughly 90 cycles"
    schedule: 'plateau', // §5: divided by 10 when the validation error stopped improving
    randomCrop: true, // §4.1
    mirror: true, // §4.1
    colourNoise: 0.1, // §4.1
  },
};
