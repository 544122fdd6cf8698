/** Public exports of `alexnet/export`. */
import './backend/index.js'; // models are traced on the backend `onnxruntime`

export { type ClassifierOptions, type ExportedClassifier, exportClassifier } from './export-classifier.js';
export { exportOnnx, type OnnxOptions } from './export-onnx.js';
export { loadGraphModelFile, loadLayersModelFile } from './load-tfjs.js';
export { LOWERINGS } from './lowerings/index.js';
export { type ModelMetadata, metadataToProps, propsToMetadata } from './metadata.js';
export { readMetadata } from './model-file.js';
export type { InputSpec, TensorFunction } from './model-source.js';
export { OnnxModel, type SavedModel, type SaveOptions, saveModel } from './onnx-model.js';
export type { Calibration, Feeds } from './precision/calibrate.js';
export { toFloat16 } from './precision/float16.js';
export { type QuantizeOptions, quantize } from './precision/quantize.js';
export { OPSETS } from './program.js';
export { type Trace, trace } from './trace.js';
