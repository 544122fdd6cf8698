/** Maps of activations as pixels: one number a pixel, dark to bright. */

/** What a map's values are drawn between. */
export interface Range {
  low: number;
  high: number;
}

/** Black over purple and orange to pale yellow, as matplotlib's inferno; lightness rises evenly. */
const ANCHORS = [
  [0, 0, 4],
  [40, 11, 84],
  [101, 21, 110],
  [159, 42, 99],
  [212, 72, 66],
  [245, 125, 21],
  [250, 193, 39],
  [252, 255, 164],
];

/** RGBA, little-endian, by level 0 … 255. */
const COLOURS = Uint32Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (ANCHORS.length - 1);
  const from = Math.min(Math.floor(place), ANCHORS.length - 2);
  const [r, g, b] = ANCHORS[from].map((value, c) => value + (ANCHORS[from + 1][c] - value) * (place - from));
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

/** From 0, or from the least value where some are negative. */
export function rangeOf(values: Float32Array): Range {
  let [low, high] = [0, 0];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

/** Where a map's pixels stand in a sheet of them. */
export interface Sheet {
  columns: number;
  /** Of a map and the line between it and the next, pixels. */
  stepX: number;
  stepY: number;
  width: number;
  height: number;
}

export function sheetOf(count: number, [height, width]: readonly number[], columns: number): Sheet {
  const [stepX, stepY] = [width + 1, height + 1];
  return { columns, stepX, stepY, width: columns * stepX - 1, height: Math.ceil(count / columns) * stepY - 1 };
}

/** The tile at a place of a sheet, given as shares of its width and height. */
export function tileAt({ columns, stepX, stepY, width, height }: Sheet, x: number, y: number): number {
  return Math.floor((y * (height + 1)) / stepY) * columns + Math.floor((x * (width + 1)) / stepX);
}

/**
 * @param maps    [height, width] each
 * @param ranges  of each map
 */
export function drawSheet(
  canvas: HTMLCanvasElement,
  maps: readonly Float32Array[],
  size: readonly number[],
  ranges: readonly Range[],
  sheet: Sheet,
): void {
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  const context = canvas.getContext('2d')!;
  for (const [i, map] of maps.entries()) {
    const [x, y] = [(i % sheet.columns) * sheet.stepX, Math.floor(i / sheet.columns) * sheet.stepY];
    context.putImageData(pixelsOf(map, size, ranges[i]), x, y);
  }
}

export function pixelsOf(map: Float32Array, [height, width]: readonly number[], { low, high }: Range): ImageData {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < map.length; i++) pixels[i] = COLOURS[Math.round((map[i] - low) * scale)];
  return image;
}
