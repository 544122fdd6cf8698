/** See `core.ts`. */
export import tfl = require('@tensorflow/tfjs-layers');
