/** An image and its nearest ones, in a row as in Figure 4 of the paper, with their distances. */
import type { Scene } from './scene.js';

const SIDE = 128;
const GAP = 10;
const LINE = 17;

export interface Neighbour {
  name: string;
  label: string;
  distance: number;
  /** JPEG. */
  thumbnail?: Buffer;
}

/** @param image  the one asked about, PNG */
export function drawNeighbours(image: Buffer, neighbours: readonly Neighbour[]): Scene {
  const at = (i: number) => GAP + i * (SIDE + GAP);
  const first = { x: at(0), y: GAP, width: SIDE, height: SIDE, image, title: 'the image' };
  const images = neighbours.flatMap(({ thumbnail, name }, i) =>
    thumbnail ? [{ x: at(i + 1), y: GAP, width: SIDE, height: SIDE, image: thumbnail, title: name }] : [],
  );
  const under = GAP + SIDE + LINE;
  return {
    width: at(neighbours.length + 1),
    height: under + 2 * LINE,
    images: [first, ...images],
    texts: neighbours.flatMap(({ label, distance }, i) => [
      { x: at(i + 1), y: under, text: label.slice(0, 18), bold: true },
      { x: at(i + 1), y: under + LINE, text: distance.toPrecision(4) },
    ]),
  };
}
