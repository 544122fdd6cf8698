/**
 * One image of unknown origin to pixels. The pipeline itself is `base/preprocess.ts`, as in training, or Pillow's for
 * networks whose description names it; here are the limits.
 */
import sharp, { type ResizeOptions, type Sharp } from 'sharp';
import { toRgb } from '../../../base/preprocess.js';
import { RequestError } from '../../errors.js';
import { type Resampling, resample, type Size } from './resample.js';

/** What images are decoded to: uint8 interleaved [height, width, channels]. */
export interface Decoding extends Size {
  /** RGB, or RGBA. */
  channels: 3 | 4;
  /**
   * `cut`: resized in proportion, what is too much cut off at the edges. `stretch`: resized to that shape. Not resized,
   * with `resampling` only: `keep`: cut, `exact`: refused unless of that size.
   */
  fit: 'cut' | 'stretch' | 'keep' | 'exact';
  /** Of `cut` with `resampling`: the short side before the cut; by default as small as fills the shape. */
  shortSide?: number;
  /**
   * As Pillow resizes, with its filter; alpha and colour profiles are then dropped, as its `convert('RGB')` does.
   * Undefined: as in training, with alpha on white and profiles converted to sRGB.
   */
  resampling?: Resampling;
  /**
   * The crop will leave an odd margin: what is cut off before it is rounded up, so that both together are rounded down.
   */
  oddMargin?: boolean;
  /** A cut that leaves an odd margin begins at the even one of the two pixels, as Python rounds in torchvision. */
  evenStart?: boolean;
}

const LOADERS = ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'];

/** Switches off, for the whole process, every loader of libvips but those for JPEG, PNG and WebP in memory. */
export function allowOnlyImages(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: LOADERS });
  sharp.cache(false); // no image comes twice
  sharp.concurrency(1); // the other cores are inferring
}

/**
 * @param maxPixels  width × height above which nothing is decoded
 * @returns          as `decoding` has it; of an animation the first frame
 * @throws {RequestError} IMAGE_TOO_MANY_PIXELS, or INVALID_IMAGE if the image is damaged, cut short, or does not have
 *   the size of a model that
 *                        takes none but its own
 */
export async function decodeImage(bytes: Uint8Array, decoding: Decoding, maxPixels: number): Promise<Uint8Array> {
  const { width, height, channels, fit, resampling } = decoding;
  const options = { failOn: 'error', limitInputPixels: maxPixels } as const;
  try {
    if (resampling) return await asPillow(sharp(bytes, { ...options, ignoreIcc: true }), decoding, resampling);
    return await toRgb(sharp(bytes, options), {
      width,
      height,
      fit: fit === 'stretch' ? 'stretch' : 'cut',
      channels,
    }).toBuffer();
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (/pixel limit/.test(reason)) {
      throw new RequestError(
        'IMAGE_TOO_MANY_PIXELS',
        `the image has more than ${maxPixels} pixels; send a smaller one`,
      );
    }
    throw new RequestError('INVALID_IMAGE', `the image cannot be decoded: ${reason.split('\n')[0].slice(0, 200)}`);
  }
}

/** Pixels from which libvips resizes, which takes a tenth of the time and blocks no thread of ours. */
const LARGE = 1_000_000;

/** Its kernels for Pillow's filters: where both sides shrink, they agree within a quarter of a level in the mean. */
const KERNELS: Partial<Record<Resampling, ResizeOptions['kernel']>> = {
  lanczos: 'lanczos3',
  bilinear: 'linear',
  bicubic: 'cubic',
};

async function asPillow(image: Sharp, decoding: Decoding, resampling: Resampling): Promise<Uint8Array> {
  const { autoOrient: size } = await image.metadata();
  const to = resizedTo(size, decoding);
  requireRoom(to, decoding);
  const rgb = image.autoOrient().removeAlpha();
  const shrinks = to.width <= size.width && to.height <= size.height;
  const kernel = shrinks && size.width * size.height >= LARGE ? KERNELS[resampling] : undefined;
  const sized = kernel ? rgb.resize(to.width, to.height, { fit: 'fill', kernel, fastShrinkOnLoad: false }) : rgb;
  const pixels = await sized.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer();
  return centre(kernel ? pixels : resample(pixels, size, to, resampling), to, decoding);
}

/** Before the cut. The long side is in proportion and rounded down, as transformers and torchvision have it. */
function resizedTo({ width, height }: Size, decoding: Decoding): Size {
  if (decoding.fit === 'keep' || decoding.fit === 'exact') return { width, height };
  if (decoding.fit === 'stretch') return { width: decoding.width, height: decoding.height };
  const side = decoding.shortSide;
  const [toWidth, toHeight] = side === undefined ? [decoding.width, decoding.height] : [side, side];
  return width * toHeight <= height * toWidth
    ? { width: toWidth, height: Math.trunc((toWidth * height) / width) }
    : { width: Math.trunc((toHeight * width) / height), height: toHeight };
}

/**
 * @throws {RequestError} INVALID_IMAGE if too little is left, or anything else than a model takes that has nothing
 *   resized
 */
function requireRoom(from: Size, { width, height, fit }: Decoding): void {
  const fits =
    fit === 'exact' ? from.width === width && from.height === height : from.width >= width && from.height >= height;
  if (fits) return;
  const wanted = `${fit === 'exact' ? '' : 'at least '}${width} × ${height}`;
  const how = fit === 'cut' ? 'once resized' : 'because the model has none resized';
  throw new RequestError(
    'INVALID_IMAGE',
    `expected an image of ${wanted} pixels ${how} (width × height), got ${from.width} × ${from.height}`,
  );
}

function centre(
  pixels: Uint8Array,
  from: Size,
  { channels, oddMargin = false, evenStart = false, ...to }: Decoding,
): Uint8Array {
  if (from.width === to.width && from.height === to.height) return pixels;
  const first = (length: number, size: number) => {
    const start = Math.floor((length - size + Number(oddMargin)) / 2);
    return evenStart && (length - size) % 2 === 1 ? start + (start % 2) : start;
  };
  const [top, left] = [first(from.height, to.height), first(from.width, to.width)];
  const out = new Uint8Array(to.width * to.height * channels);
  const row = to.width * channels;
  for (let y = 0; y < to.height; y++) {
    const start = ((top + y) * from.width + left) * channels;
    out.set(pixels.subarray(start, start + row), y * row);
  }
  return out;
}
