/**
 * The packages of TensorFlow.js, for everything that computes with them; for types alone, import theirs. They are
 * required: of a CommonJS module that is imported, Node first scans the source for names of exports, and theirs is a
 * bundle of a megabyte, which costs 0.1 s of start each.
 */
export import tf = require('@tensorflow/tfjs-core');
export import backend_util = tf.backend_util;
export import slice_util = tf.slice_util;
export import util = tf.util;
