/** Public exports of `alexnet/export`. */
export { type ExportedModel, type ExportOptions, exportClassifier, OPSETS } from './export-onnx.js';
export { LOWERINGS } from './lowerings/index.js';
export { type ModelMetadata, metadataToProps, propsToMetadata } from './metadata.js';
export { readMetadata } from './model-file.js';
export { type Trace, trace, traceModel } from './trace.js';
