/**
 * From an encoded photograph to the square that the network's crops are cut from. Training and serving share this file, so a
 * picture looks the same to both. Source: Krizhevsky et al. 2012, §2: the short side is resized to 256, then the central
 * 256×256 is cut out. The paper names no resampling filter; this is libvips' default (Lanczos 3, with a shrinking JPEG load).
 */
import type { Sharp } from 'sharp';

/**
 * Turned upright by its EXIF orientation, alpha composited on white, grey, CMYK and 16-bit converted to sRGB, short side
 * resized to `imagePx` (up or down), centre cut out.
 *
 * @param image    an opened picture; of an animation the first frame
 * @param imagePx  side of the square, pixels
 * @returns        a pipeline whose raw output is uint8 RGB interleaved [imagePx, imagePx, 3]; nothing is read before
 *                 `toBuffer`, which rejects where the picture cannot be decoded
 */
export function toSquareRgb(image: Sharp, imagePx: number): Sharp {
  return image
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .resize(imagePx, imagePx, { fit: 'cover', position: 'centre' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' });
}
