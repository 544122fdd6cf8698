/** TensorFlow.js's backend `cpu`, registered by the import; see `core.ts`. */
export import cpu = require('@tensorflow/tfjs-backend-cpu');
