/** The one door to onnxruntime-node: loaded from here, it runs without telemetry. */
import './load-onnxruntime.js'; // first: it prepares the process

export * from 'onnxruntime-node';
