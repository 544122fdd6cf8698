/**
 * Images resized as Pillow does, for networks whose preparation names one of its filters: training and serving share
 * it. Alpha and colour profiles are dropped, and inks become light, as Pillow's `convert('RGB')` does.
 */
import type { ResizeOptions, Sharp } from 'sharp';
import { centre, type Decoding, resizedTo, windowOf } from './fit.js';
import { type Resampling, resample, type Size } from './resample.js';

/** Pixels from which libvips resizes, which takes a tenth of the time and blocks no thread of ours. */
const LARGE = 1_000_000;

/** Its kernels for Pillow's filters: where both sides shrink, they agree within a quarter of a level in the mean. */
const KERNELS: Partial<Record<Resampling, ResizeOptions['kernel']>> = {
  lanczos: 'lanczos3',
  bilinear: 'linear',
  bicubic: 'cubic',
};

/**
 * @param image  opened with `ignoreIcc`
 * @param check  may refuse the size before the cut
 * @returns      uint8 RGB interleaved, of the size that `decoding` has
 */
export async function asPillow(
  image: Sharp,
  decoding: Decoding & { resampling: Resampling },
  check: (size: Size) => void = () => {},
): Promise<Uint8Array> {
  const { resampling } = decoding;
  const { autoOrient: size, space, channels, depth } = await image.metadata();
  const to = resizedTo(size, decoding);
  check(to);
  const window = windowOf(to, decoding);
  if (space === 'cmyk' && channels === 4 && depth === 'uchar')
    return resample(await fromInks(image), size, to, resampling, window);
  const rgb = image.autoOrient().removeAlpha();
  const shrinks = to.width <= size.width && to.height <= size.height;
  const kernel = shrinks && size.width * size.height >= LARGE ? KERNELS[resampling] : undefined;
  const sized = kernel ? rgb.resize(to.width, to.height, { fit: 'fill', kernel, fastShrinkOnLoad: false }) : rgb;
  const pixels = await sized.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer();
  return kernel ? centre(pixels, to, decoding) : resample(pixels, size, to, resampling, window);
}

/** CMYK of 8 bits without a profile: what of the paper's white each ink and the black leave. */
async function fromInks(image: Sharp): Promise<Uint8Array> {
  const inks = await image
    .autoOrient()
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer();
  const rgb = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const white = 255 - inks[from + 3];
    for (let c = 0; c < 3; c++) rgb[to++] = white - Math.round((inks[from + c] * white) / 255);
  }
  return rgb;
}
