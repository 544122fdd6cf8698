/**
 * The kernel with which a 1×1 convolution sums over the window of a response normalisation.
 * @returns [C, C]: row c holds `value` from channel c − ⌊(size − 1)/2⌋ to c + ⌈(size − 1)/2⌉, as ONNX defines the
 *   window
 */
export function bandMatrix(channels: number, size: number, value: number): Float32Array {
  const matrix = new Float32Array(channels * channels);
  for (let c = 0; c < channels; c++) {
    const first = Math.max(0, c - Math.floor((size - 1) / 2));
    const last = Math.min(channels - 1, c + Math.ceil((size - 1) / 2));
    matrix.fill(value, c * channels + first, c * channels + last + 1);
  }
  return matrix;
}
