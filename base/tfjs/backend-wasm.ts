/** TensorFlow.js's backend `wasm`, which a user may have installed. */

let loaded: Promise<boolean> | undefined;

/** Registers the backend; false if its package is not installed. */
export function backendWasm(): Promise<boolean> {
  loaded ??= import('@tensorflow/tfjs-backend-wasm').then(
    () => true,
    () => false,
  );
  return loaded;
}
