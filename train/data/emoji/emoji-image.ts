/**
 * Puts one image of the embedded data set together: a drawing at a size and place, over a background, brightened or
 * darkened.
 */
import type { Random } from '../../../base/random.js';
import type { Drawing } from './emoji-drawings.js';

const BASE_PX = 32;
const BOXES_PX = [29, 32, 35];
const CENTRED = 1; // of BOXES_PX: fills the image
const SHIFT_PX = 2;
const GAIN = [0.85, 1.15];

/**
 * How one image is put together; `size` counts the sizes of `boxesPx`, shifts are pixels from the centre, the colour is
 * 0 to 255.
 */
export interface Placement {
  size: number;
  shiftX: number;
  shiftY: number;
  gain: number;
  background: [number, number, number];
}

/** Longer sides of the drawings in pixels: a little smaller than the image, filling it, a little larger. */
export const boxesPx = (imagePx: number): number[] => BOXES_PX.map((box) => scaled(box, imagePx));

/** Fills the image, as drawn, on white. */
export const CENTRED_ON_WHITE: Placement = {
  size: CENTRED,
  shiftX: 0,
  shiftY: 0,
  gain: 1,
  background: [255, 255, 255],
};

/** Random size, shift and background colour: what the network is tested on. */
export function drawRandom(stream: Random, imagePx: number): Placement {
  const shift = scaled(SHIFT_PX, imagePx);
  return {
    size: stream.integer(BOXES_PX.length),
    shiftX: stream.integer(2 * shift + 1) - shift,
    shiftY: stream.integer(2 * shift + 1) - shift,
    gain: 1,
    background: [stream.integer(256), stream.integer(256), stream.integer(256)],
  };
}

/** The same with random brightness, half of them on white. */
export function drawTraining(stream: Random, imagePx: number): Placement {
  const placement = drawRandom(stream, imagePx);
  placement.gain = GAIN[0] + (GAIN[1] - GAIN[0]) * stream.uniform();
  if (stream.uniform() < 0.5) placement.background = [255, 255, 255];
  return placement;
}

const scaled = (px: number, imagePx: number): number => Math.max(1, Math.round((px * imagePx) / BASE_PX));

/** The drawing over the background, then the whole times the gain: uint8 RGB [imagePx, imagePx, 3]. */
export function composite(drawing: Drawing, placement: Placement, imagePx: number): Uint8Array {
  const { gain, background } = placement;
  const pixels = new Uint8ClampedArray(imagePx * imagePx * 3);
  const plain = Uint8ClampedArray.from(background, (value) => value * gain);
  for (let i = 0; i < pixels.length; i++) pixels[i] = plain[i % 3];

  const left = Math.floor((imagePx - drawing.width) / 2) + placement.shiftX;
  const top = Math.floor((imagePx - drawing.height) / 2) + placement.shiftY;
  for (let y = Math.max(0, -top); y < Math.min(drawing.height, imagePx - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(drawing.width, imagePx - left); x++) {
      const from = (y * drawing.width + x) * 4;
      const to = ((top + y) * imagePx + left + x) * 3;
      const alpha = drawing.rgba[from + 3] / 255;
      for (let c = 0; c < 3; c++) {
        pixels[to + c] = (drawing.rgba[from + c] * alpha + background[c] * (1 - alpha)) * gain;
      }
    }
  }
  return new Uint8Array(pixels.buffer);
}
