/** Public exports of `alexnet/export`. */
import '../onnx/backend/index.js'; // models are traced on the backend `onnxruntime`

export type { ClassifierDescription } from '../onnx/file/classifier-description.js';
export { type ModelMetadata, metadataToProps, propsToMetadata } from '../onnx/file/metadata.js';
export { readMetadata } from '../onnx/file/model-file.js';
export { OnnxModel, type SavedModel, type SaveOptions, saveModel } from '../onnx/file/onnx-model.js';
export { LOWERINGS } from '../onnx/lowerings/index.js';
export { type ClassifierOptions, type ExportedClassifier, exportClassifier } from './classifier.js';
export { exportOnnx } from './compile/export-onnx.js';
export { loadGraphModelFile, loadLayersModelFile } from './compile/load-tfjs.js';
export type { InputSpec, TensorFunction } from './compile/model-source.js';
export type { OnnxOptions } from './compile/onnx-options.js';
export { OPSETS } from './compile/program.js';
export { type Trace, trace } from './compile/trace.js';
export type { Calibration, Feeds } from './precision/calibrate.js';
export { toFloat16 } from './precision/float16.js';
export { type QuantizeOptions, quantize } from './precision/quantize.js';
