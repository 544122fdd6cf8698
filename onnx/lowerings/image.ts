/** Images [N, H, W, C] turned by an angle, and boxes cut out of them. */
import { backend_util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { type Rule, refusesAllButFloat } from '../rule.js';

/**
 * Pixel that each output pixel shows, −1 if it lies outside: the angle is an attribute, so this is known beforehand.
 */
function rotatedPixels(height: number, width: number, { radians, center }: Attrs): number[] {
  const [centerX, centerY] = backend_util.getImageCenter(center, height, width);
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
  return Array.from({ length: height * width }, (_, i) => {
    const [dx, dy] = [(i % width) - centerX, Math.floor(i / width) - centerY];
    const column = Math.round(dx * cos - dy * sin + centerX);
    const row = Math.round(dx * sin + dy * cos + centerY);
    return column >= 0 && column < width && row >= 0 && row < height ? row * width + column : -1;
  });
}

function lowerRotation(g: Graph, image: Value, attrs: Attrs): Value {
  const [n, height, width, channels] = image.shape;
  const pixels = rotatedPixels(height, width, attrs);
  const dims = [n, height * width, channels];
  const rows = g.flat(image, dims);
  const shown = g.node('Gather', [rows, g.int64s(pixels.map((pixel) => Math.max(pixel, 0)))], { axis: 1 }, dims);
  const inside = pixels.map((pixel) => (pixel < 0 ? 0 : 1));
  const mask = g.constant('bool', [1, height * width, 1], inside);
  const { fillValue } = attrs;
  // tfjs makes the border opaque: channel 3 is alpha.
  const colour = Array.from({ length: channels }, (_, c) => (c === 3 ? 255 : fillValue[c]));
  const border = typeof fillValue === 'number' ? g.scalar(fillValue) : g.constant('float32', [1, 1, channels], colour);
  return g.reshape(g.node('Where', [mask, shown, border], {}, dims, 'float32'), image.shape);
}

/**
 * Where the rows or columns of each crop lie in the image: [boxes, crop], float64 like the JavaScript numbers of the
 * cpu kernel.
 */
function cropPositions(g: Graph, from: Value, to: Value, length: number, crop: number): Value {
  const number = (value: number) => g.scalar(value, 'float64');
  const column = from.dims;
  const start = g.node('Mul', [from, number(length - 1)], {}, column);
  if (crop === 1) {
    const middle = g.node('Mul', [number(0.5), g.node('Add', [from, to], {}, column)], {}, column);
    return g.node('Mul', [middle, number(length - 1)], {}, column);
  }
  const side = g.node('Mul', [g.node('Sub', [to, from], {}, column), number(length - 1)], {}, column);
  const step = g.node('Div', [side, number(crop - 1)], {}, column);
  const dims = [column[0], crop];
  const counts = g.constant('float64', [1, crop], [...new Array(crop).keys()]);
  return g.node('Add', [start, g.node('Mul', [counts, step], {}, dims)], {}, dims);
}

interface Along {
  /** Whether the position lies in the image. */
  inside: Value;
  /** Pixels before and after it, or the nearest one; int64. */
  pixels: Value[];
  /** How far it is from the first to the second, float32. */
  part: Value;
}

/** @param at  positions, [boxes, crop] */
function pixelsAlong(g: Graph, at: Value, length: number, method: string): Along {
  const dims = at.dims;
  const [zero, last] = [g.scalar(0, 'float64'), g.scalar(length - 1, 'float64')];
  const reached = g.node('GreaterOrEqual', [at, zero], {}, dims, 'bool');
  const inside = g.node('And', [reached, g.node('LessOrEqual', [at, last], {}, dims, 'bool')], {}, dims);
  const bounded = g.node('Min', [g.node('Max', [at, zero], {}, dims), last], {}, dims);
  const pixel = (op: string, value: Value) =>
    g.node('Cast', [g.node(op, [value], {}, dims)], { to: 'int64' }, dims, 'int64');
  const before = g.node('Floor', [bounded], {}, dims);
  const part = g.node('Cast', [g.node('Sub', [bounded, before], {}, dims)], { to: 'float32' }, dims, 'float32');
  if (method === 'bilinear') return { inside, pixels: [pixel('Floor', bounded), pixel('Ceil', bounded)], part };
  return { inside, pixels: [pixel('Floor', g.node('Add', [bounded, g.scalar(0.5, 'float64')], {}, dims))], part };
}

function lowerCrops(g: Graph, image: Value, boxes: Value, boxInd: Value, attrs: Attrs): Value {
  const [n, height, width, channels] = image.shape;
  const [cropHeight, cropWidth] = attrs.cropSize;
  const count = boxes.shape[0];
  const numbers = g.node('Cast', [g.memory(g.plain(boxes))], { to: 'float64' }, [count, 4], 'float64');
  const quarter = { dims: [count, 1], dtype: 'float64' } as const;
  const [y1, x1, y2, x2] = g.multi('Split', [numbers, g.int64s([1, 1, 1, 1])], { axis: 1 }, Array(4).fill(quarter));
  const rows = pixelsAlong(g, cropPositions(g, y1, y2, height, cropHeight), height, attrs.method);
  const columns = pixelsAlong(g, cropPositions(g, x1, x2, width, cropWidth), width, attrs.method);
  const dims = [count, cropHeight, cropWidth];
  const shaped = (value: Value, shape: number[]) => g.node('Reshape', [value, g.int64s(shape)], {}, shape);
  const [tall, wide] = [
    [count, cropHeight, 1],
    [count, 1, cropWidth],
  ];
  const boxImage = g.node('Cast', [shaped(g.memory(boxInd), [count, 1, 1])], { to: 'int64' }, [count, 1, 1], 'int64');
  const first = g.node('Mul', [boxImage, g.constant('int64', [], [height])], {}, [count, 1, 1]);
  const pixels = g.flat(image, [n * height * width, channels]);
  const corner = (row: Value, column: Value) => {
    const line = g.node('Add', [first, shaped(row, tall)], {}, tall);
    const start = g.node('Mul', [line, g.constant('int64', [], [width])], {}, tall);
    const at = g.node('Add', [start, shaped(column, wide)], {}, dims);
    return g.node('Gather', [pixels, at], { axis: 0 }, [...dims, channels]);
  };
  const between = (a: Value, b: Value, part: Value) => {
    const way = g.node('Mul', [g.node('Sub', [b, a], {}, a.dims), part], {}, a.dims);
    return g.node('Add', [a, way], {}, a.dims);
  };
  const lines = rows.pixels.map((row) => {
    const [left, right] = columns.pixels.map((column) => corner(row, column));
    return right ? between(left, right, shaped(columns.part, [...wide, 1])) : left;
  });
  const value = lines[1] ? between(lines[0], lines[1], shaped(rows.part, [...tall, 1])) : lines[0];
  const [insideRow, insideColumn] = [shaped(rows.inside, [...tall, 1]), shaped(columns.inside, [...wide, 1])];
  const inside = g.node('And', [insideRow, insideColumn], {}, [...dims, 1]);
  return g.node('Where', [inside, value, g.scalar(attrs.extrapolationValue)], {}, [...dims, channels], 'float32');
}

export const IMAGE: Record<string, Rule> = {
  RotateWithOffset: {
    since: 13,
    inputs: ['image'],
    refuses: refusesAllButFloat,
    outputs: ([image]) => [{ shape: image.shape, dtype: 'float32' }],
    lower: (g, [image], attrs) => [lowerRotation(g, image, attrs)],
  },
  /** A box of an image that is not there is left to the cpu kernel, which leaves it black. */
  CropAndResize: {
    since: 13,
    inputs: ['image', 'boxes', 'boxInd'],
    refuses: ([image, boxes, boxInd]) =>
      refusesAllButFloat([image, boxes]) ?? (boxInd.dtype === 'int32' ? undefined : `box numbers of ${boxInd.dtype}`),
    refusesValues: (values, [image]) =>
      values(2).every((boxImage: number) => boxImage >= 0 && boxImage < image.shape[0]) ? undefined : 'box of no image',
    outputs: ([image, boxes], { cropSize }) => [
      { shape: [boxes.shape[0], ...cropSize, image.shape[3]], dtype: 'float32' },
    ],
    lower: (g, [image, boxes, boxInd], attrs) => [lowerCrops(g, image, boxes, boxInd, attrs)],
  },
};
