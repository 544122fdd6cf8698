/**
 * From an encoded photograph to the square that the network's crops are cut from. Training and serving share this file,
 * so an image looks the same to both. Source: Krizhevsky et al. 2012, §2: the short side is resized to 256, then the
 * central 256×256 is cut out. The paper names no resampling filter; this is libvips' default (Lanczos 3, with a
 * shrinking JPEG load).
 */
import type { Sharp } from 'sharp';

/** How `toRgb` fits an image to `width` × `height`. */
export interface RgbOptions {
  width: number;
  height: number;
  /** `cut`: short side resized, centre cut out. `stretch`: both sides resized. */
  fit?: 'cut' | 'stretch';
  /** 4: with alpha. */
  channels?: 3 | 4;
}

/**
 * Turned upright by its EXIF orientation, alpha composited on white unless it is asked for, grey, CMYK and 16-bit
 * converted to sRGB, resized up or down.
 *
 * @param image  an opened image; of an animation the first frame
 * @returns      a pipeline whose raw output is uint8 interleaved [height, width, channels]; nothing is read before `toBuffer`, which
 *               rejects if the image cannot be decoded
 */
export function toRgb(image: Sharp, { width, height, fit = 'cut', channels = 3 }: RgbOptions): Sharp {
  const upright =
    channels === 4 ? image.autoOrient().ensureAlpha() : image.autoOrient().flatten({ background: '#ffffff' });
  return upright
    .resize(width, height, { fit: fit === 'cut' ? 'cover' : 'fill', position: 'centre' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' });
}

/** Short side resized to `imagePx`, centre cut out: [imagePx, imagePx, 3]. See `toRgb`. */
export function toSquareRgb(image: Sharp, imagePx: number): Sharp {
  return toRgb(image, { width: imagePx, height: imagePx });
}
