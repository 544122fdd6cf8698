/** See `core.ts`. */
export import tfc = require('@tensorflow/tfjs-converter');
