/** The one door to onnxruntime-node: whoever loads it from here loads it without telemetry. */
import './load-onnxruntime.js'; // first: it prepares the process

export * from 'onnxruntime-node';
