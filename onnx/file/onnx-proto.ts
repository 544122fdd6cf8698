/** The messages of ONNX's protobuf; required for the reason in `base/tfjs/core.ts`. */
import onnxProto = require('onnx-proto');
export import onnx = onnxProto.onnx;
