/** Images for the tiny classifier: black, with one corner white. */
import sharp, { type Sharp } from 'sharp';

/** `quarter` as in QUARTERS: 0 top left, 1 top right, 2 bottom left, 3 bottom right. */
export function corner(quarter: number, width = 8, height = 8): Sharp {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const here = (y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1);
      pixels.fill(here === quarter ? 255 : 0, (y * width + x) * 3, (y * width + x + 1) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Something with detail in it, so that its file is long enough to be damaged in many places. */
export function pattern(width = 96, height = 64): Sharp {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919 + (i >> 5) * 104729) % 251);
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/**
 * Passes for a JPEG with whoever looks at the first bytes only; the stand-in for the inference process obeys what
 * follows.
 */
export function order(command: string): Buffer {
  return Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.from(command)]);
}
