/** Images if there are none to take: squares of random colours, whose edges every kernel sees. */
import { random } from '../../base/random.js';

/** Squares along a side. */
const SQUARES = 8;

/** uint8 [count, side, side, 3], always the same. */
export function squareImages(count: number, side: number): Uint8Array {
  const images = new Uint8Array(count * side ** 2 * 3);
  const square = Math.ceil(side / SQUARES);
  let at = 0;
  for (let image = 0; image < count; image++) {
    const stream = random(0, 'sample', image);
    const colours = Uint8Array.from({ length: SQUARES ** 2 * 3 }, () => stream.integer(256));
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const place = Math.floor(y / square) * SQUARES + Math.floor(x / square);
        for (let channel = 0; channel < 3; channel++) images[at++] = colours[place * 3 + channel];
      }
    }
  }
  return images;
}
