/**
 * PyTorch's weights and tfjs's. PyTorch: convolution kernels [O, I, h, w], fully connected ones [O, I], the inputs of
 * fc6 in order c, h, w; tfjs: [h, w, I, O] and [I, O], the inputs of fc6 in order h, w, c. fc6 is thus a convolution
 * kernel with a window of 6×6 that is reshaped in both, and one loop serves all. Written apart from onnx/layout.ts,
 * which it helps to test.
 */

/** Layers of the net as torch.nn.Sequential numbers them. */
const TORCH_LAYERS: Record<string, string> = {
  conv1: 'features.0',
  conv2: 'features.4',
  conv3: 'features.8',
  conv4: 'features.10',
  conv5: 'features.12',
  fc6: 'classifier.1',
  fc7: 'classifier.4',
  fc8: 'classifier.6',
};

/** `conv1/kernel` is `features.0.weight` there. */
export function torchName(name: string): string {
  const [layer, part] = name.split('/');
  return `${TORCH_LAYERS[layer]}.${part === 'kernel' ? 'weight' : 'bias'}`;
}

/** Calls `visit` for every element of a weight, by its position in PyTorch's array and in tfjs's. */
function eachPosition(name: string, torchShape: readonly number[], visit: (torch: number, tfjs: number) => void): void {
  const [outs, columns = 1, ...window] = torchShape;
  const [height, width] = name === 'fc6/kernel' ? [6, 6] : window.length === 2 ? window : [1, 1];
  const ins = name === 'fc6/kernel' ? columns / 36 : columns;
  let torch = 0;
  for (let o = 0; o < outs; o++)
    for (let i = 0; i < ins; i++)
      for (let h = 0; h < height; h++)
        for (let w = 0; w < width; w++) visit(torch++, ((h * width + w) * ins + i) * outs + o);
}

/** @param values  in PyTorch's order; @returns the same in tfjs's */
export function torchToTfjs(name: string, torchShape: readonly number[], values: Float32Array): Float32Array {
  const result = new Float32Array(values.length);
  eachPosition(name, torchShape, (torch, tfjs) => {
    result[tfjs] = values[torch];
  });
  return result;
}

/** @param values  in tfjs's order; @returns the same in PyTorch's */
export function tfjsToTorch(name: string, torchShape: readonly number[], values: Float32Array): Float32Array {
  const result = new Float32Array(values.length);
  eachPosition(name, torchShape, (torch, tfjs) => {
    result[torch] = values[tfjs];
  });
  return result;
}

/** Images [N, C, side, side] to [N, side, side, C]. */
export function nchwToNhwc(values: Float32Array, channels: number, side: number): Float32Array {
  const result = new Float32Array(values.length);
  const plane = side * side;
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / plane) % channels;
    const image = Math.floor(i / plane / channels);
    result[(image * plane + (i % plane)) * channels + channel] = values[i];
  }
  return result;
}
