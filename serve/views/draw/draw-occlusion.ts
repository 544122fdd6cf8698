/**
 * An occlusion map over its image: red where covering the place takes the class's probability away, blue where it adds
 * to it.
 */
import { percent } from '../../../base/format.js';
import type { OcclusionStart } from '../engine/occlusion.js';
import type { Pixels, Scene } from './scene.js';

/** Side of each of the two images that a drawing has at least, pixels. */
const SMALLEST = 384;
const GAP = 12;
const HEADING = 26;
const RED = [214, 39, 40];
const BLUE = [31, 119, 180];
/** Of the strongest colour: the image stays visible. */
const OPACITY = 0.75;

/**
 * @param image        the crop, PNG
 * @param probabilities  row by row
 */
export function drawOcclusion(start: OcclusionStart, image: Buffer, probabilities: readonly number[]): Scene {
  const { crop, patch, rows, columns } = start;
  const zoom = Math.ceil(SMALLEST / crop.size);
  const side = crop.size * zoom;
  const step = rows > 1 ? (crop.size - patch) / (rows - 1) : patch;
  const left = GAP + side + GAP;
  // Every cell around the middle of its patch.
  const edge = Math.max(0, Math.round(((patch - step) / 2) * zoom));
  const lowest = Math.min(...probabilities);
  return {
    width: left + side + GAP,
    height: HEADING + side + GAP,
    images: [
      { x: GAP, y: HEADING, width: side, height: side, image },
      { x: left, y: HEADING, width: side, height: side, image },
      {
        x: left + edge,
        y: HEADING + edge,
        width: side - 2 * edge,
        height: side - 2 * edge,
        image: heat(start.probability, probabilities, rows, columns),
      },
    ],
    texts: [
      { x: GAP, y: 18, text: `${start.class.label}: ${percent(start.probability)}`, bold: true },
      { x: left, y: 18, text: `with a patch of ${patch} pixels: down to ${percent(lowest)}` },
    ],
  };
}

function heat(base: number, probabilities: readonly number[], rows: number, columns: number): Pixels {
  const changes = probabilities.map((probability) => probability - base);
  const most = changes.reduce((largest, change) => Math.max(largest, Math.abs(change)), 0) || 1;
  const data = new Uint8Array(rows * columns * 4);
  changes.forEach((change, i) => {
    data.set([...(change < 0 ? RED : BLUE), Math.round((255 * OPACITY * Math.abs(change)) / most)], i * 4);
  });
  return { data, width: columns, height: rows, channels: 4 };
}
