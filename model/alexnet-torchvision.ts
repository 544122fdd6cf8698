/**
 * torchvision's `alexnet`: the single-column network of Krizhevsky, "One weird trick for parallelizing convolutional
 * neural networks", 2014, without response normalisation, with dropout before fc6 and fc7. 61,100,840 parameters at
 * 1000 classes. Its adaptive pooling to 6×6 does nothing at 224 pixels and has no row.
 */
import type { NetworkSpec } from './spec.js';

export const ALEXNET_TORCHVISION: NetworkSpec = {
  name: 'alexnet-torchvision',
  source: 'torchvision/models/alexnet.py',
  inputPx: 224,
  imagePx: 256,
  classes: 1000,
  rows: [
    { type: 'conv', name: 'conv1', channels: 64, kernel: 11, stride: 4, pad: 2, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'valid' },
    { type: 'conv', name: 'conv2', channels: 192, kernel: 5, pad: 2, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'maxpool', name: 'pool2', size: 3, stride: 2, pad: 'valid' },
    { type: 'conv', name: 'conv3', channels: 384, kernel: 3, pad: 1, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'conv', name: 'conv4', channels: 256, kernel: 3, pad: 1, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'conv', name: 'conv5', channels: 256, kernel: 3, pad: 1, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'maxpool', name: 'pool5', size: 3, stride: 2, pad: 'valid' },
    { type: 'dropout', name: 'drop6', rate: 0.5 },
    { type: 'fc', name: 'fc6', units: 4096, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'dropout', name: 'drop7', rate: 0.5 },
    { type: 'fc', name: 'fc7', units: 4096, relu: true, stddev: 'fan-in', bias: 0 },
    { type: 'fc', name: 'fc8', units: 'classes', relu: false, stddev: 'fan-in', bias: 0 },
  ],
  // torchvision/references/classification: `train.py --model alexnet --lr 1e-2` on 8 GPUs. There biases decay too,
  // images are divided by their standard deviation and random crops vary in scale.
  recipe: {
    learningRate: 0.01,
    batch: 256, // 32 on each of 8 GPUs
    momentum: 0.9,
    weightDecay: 0.0001,
    biasLearningRateFactor: 1,
    epochs: 90,
    schedule: 'step',
    milestones: [30, 60], // --lr-step-size 30 --lr-gamma 0.1
    randomCrop: true,
    mirror: true,
    colourNoise: 0,
  },
};
