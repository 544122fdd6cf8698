/** Images if there are none to take: squares of random colours, whose edges every kernel sees. */
import { random } from '../../base/random.js';

/** Squares along a side. */
const SQUARES = 8;

/** uint8 [count, side, side, 3], always the same. */
export function squarePictures(count: number, side: number): Uint8Array {
  const pictures = new Uint8Array(count * side ** 2 * 3);
  const square = Math.ceil(side / SQUARES);
  let at = 0;
  for (let picture = 0; picture < count; picture++) {
    const stream = random(0, 'sample', picture);
    const colours = Uint8Array.from({ length: SQUARES ** 2 * 3 }, () => stream.integer(256));
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const place = Math.floor(y / square) * SQUARES + Math.floor(x / square);
        for (let channel = 0; channel < 3; channel++) pictures[at++] = colours[place * 3 + channel];
      }
    }
  }
  return pictures;
}
