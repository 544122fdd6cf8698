/**
 * `node alexnet-work.js` prints JSON: the work of an image in ten crops, and the rate at which onnxruntime multiplies large
 * matrices in float32 on this machine, both in GFLOP.
 */
import { usableCores } from '../../base/process/usable-cores.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { flopsPerImage, productRate } from './flops.js';

const CROPS = 10;

await selectBackend('onnxruntime', 'cpu');
const work = CROPS * flopsPerImage(buildNetwork(findNetwork('alexnet'), { classes: 1000, seed: 1 }), 'forward');
const { flops } = productRate('cpu', usableCores());
console.log(JSON.stringify({ image: work / 1e9, rate: flops / 1e9 }));
