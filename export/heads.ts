/**
 * What stands before and behind the network in an exported file. `image`: whole images in, the mean prediction over one
 * to ten crops out, so that any engine that runs ONNX gives it without code of ours. `tensor`: the network alone, for
 * people who bring their own crops.
 */
import type { Crop, CropGeometry } from '../base/crops.js';
import type { Graph, Value } from '../onnx/graph.js';
import { NCHW } from '../onnx/layout.js';

/** Lowers the network on an input [rows, inputPx, inputPx, 3] to logits [rows, classes]. */
type Network = (input: Value) => Value;

/**
 * `image` uint8 [N, imagePx, imagePx, 3] → `probabilities` [N, classes], the mean over the crops (paper, §4.1).
 * @param rows   images while the graph is made
 * @param crops  upright ones first, then all of them mirrored or none
 */
export function imageHead(
  g: Graph,
  rows: number,
  { imagePx, inputPx, mean }: CropGeometry,
  crops: readonly Crop[],
  network: Network,
): { inputs: Value[]; outputs: Value[] } {
  const image = g.input('image', 'uint8', [rows, imagePx, imagePx, 3]);
  g.scope = 'centred';
  const pixels = g.node('Cast', [image], { to: 'float32' }, image.dims, 'float32');
  const centred = g.node(
    'Sub',
    [pixels, g.initializer('mean', { dtype: 'float32', shape: [imagePx, imagePx, 3], data: mean })],
    {},
    image.dims,
  );
  g.scope = 'crops';
  const input = cropBatch(g, g.in(NCHW, centred), crops, inputPx);
  const logits = network(g.view(input, NCHW));
  g.scope = 'probabilities';
  const single = g.node('Softmax', [g.memory(logits)], { axis: 1 }, logits.dims);
  return { inputs: [image], outputs: [crops.length === 1 ? single : meanOverCrops(g, single, crops.length, rows)] };
}

/** @param single  probabilities of each crop, [crops · rows, classes] */
function meanOverCrops(g: Graph, single: Value, crops: number, rows: number): Value {
  const classes = single.dims[1];
  const byCrop = g.node('Reshape', [single, g.int64s([crops, -1, classes])], {}, [crops, rows, classes]);
  const axes = g.target.opset >= 18;
  return g.node(
    'ReduceMean',
    axes ? [byCrop, g.int64s([0])] : [byCrop],
    axes ? { keepdims: 0 } : { axes: [0], keepdims: 0 },
    [rows, classes],
  );
}

/**
 * The upright crops, one after another along the batch axis, then all of them mirrored: Caffe's order, see
 * `base/crops.ts`, with one crop of every image together where Caffe has the ten of one image.
 */
function cropBatch(g: Graph, image: Value, crops: readonly Crop[], inputPx: number): Value {
  const [rows] = image.dims;
  const upright = crops
    .filter((crop) => !crop.mirror)
    .map(({ top, left }) => {
      const ends = [top + inputPx, left + inputPx];
      const whole = image.dims[2] === inputPx;
      return whole
        ? image
        : g.node('Slice', [image, g.int64s([top, left]), g.int64s(ends), g.int64s([2, 3])], {}, [
            rows,
            3,
            inputPx,
            inputPx,
          ]);
    });
  const half =
    upright.length === 1
      ? upright[0]
      : g.node('Concat', upright, { axis: 0 }, [rows * upright.length, 3, inputPx, inputPx]);
  if (upright.length === crops.length) return half;
  const mirrored = g.node(
    'Slice',
    [half, g.int64s([-1]), g.int64s([-(2 ** 31)]), g.int64s([3]), g.int64s([-1])],
    {},
    half.dims,
  );
  return g.node('Concat', [half, mirrored], { axis: 0 }, [rows * crops.length, 3, inputPx, inputPx]);
}

/** `input` float32 [N, 3, inputPx, inputPx] → `logits` and `probabilities` [N, classes]. */
export function tensorHead(
  g: Graph,
  rows: number,
  inputPx: number,
  network: Network,
): { inputs: Value[]; outputs: Value[] } {
  const input = g.input('input', 'float32', [rows, inputPx, inputPx, 3], NCHW);
  const logits = network(input);
  g.scope = 'probabilities';
  const probabilities = g.node('Softmax', [g.memory(logits)], { axis: 1 }, logits.dims);
  return { inputs: [g.memory(input)], outputs: [g.memory(logits), probabilities] };
}
