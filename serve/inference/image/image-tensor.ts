/**
 * From a decoded image to what a model takes: crops cut out, colours scaled and centred, channels and axes in the
 * model's order.
 */
import { type Crop, type CropCount, centreCrop, cropsOf } from '../../../base/crops.js';
import type { Decoding } from '../../../base/image/fit.js';
import type { Size } from '../../../base/image/resample.js';
import { CHANNELS, type Channels } from '../../../onnx/file/channels.js';

/**
 * How images become a model's input. Its values are (x · scale − mean) / std for x in 0 … 255, or x itself where it
 * takes uint8.
 */
export interface ImageRecipe {
  datatype: 'UINT8' | 'FP32' | 'FP16';
  layout: 'NHWC' | 'NCHW';
  channels: Channels;
  /** What images are decoded to. */
  decoding: Decoding;
  /** The model's input, pixels; at most that of the decoded image. */
  input: Size;
  /** Crops cut here, averaged afterwards (paper, §4.1); see `cropsOf`. More than one needs squares. */
  crops: CropCount;
  scale: number;
  /** By channel: R, G, B, A, or grey; as `std`. */
  mean: readonly number[];
  std: readonly number[];
}

/** Shape of one row of a model's input. */
export function rowShape({ layout, channels, input: { width, height } }: ImageRecipe): number[] {
  return layout === 'NCHW' ? [CHANNELS[channels], height, width] : [height, width, CHANNELS[channels]];
}

/** What the input's values are made by, with the numbers filled in; undefined where they are the levels themselves. */
export function formulaOf({ datatype, scale, mean, std }: ImageRecipe): string | undefined {
  const [scaling, centring, spreading] = [scale !== 1, mean.some((one) => one !== 0), std.some((one) => one !== 1)];
  if (datatype === 'UINT8' || !(scaling || centring || spreading)) return undefined;
  let formula = 'x';
  if (scaling) formula += scale < 1 ? ` / ${short(1 / scale)}` : ` · ${short(scale)}`;
  if (centring) formula += ` − ${byChannel(mean)}`;
  if (!spreading) return formula;
  return `${scaling || centring ? `(${formula})` : formula} / ${byChannel(std)}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** One for all channels, if they are the same. */
function byChannel(values: readonly number[]): string {
  return values.every((value) => value === values[0]) ? short(values[0]) : `[${values.map(short).join(', ')}]`;
}

/** Grey is luminance by ITU-R BT.601, rounded as Pillow's `convert('L')` does. */
function luminance(pixels: Uint8Array, at: number): number {
  return (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 0x8000) >> 16;
}

export class ImageTensor {
  private readonly crops: readonly Crop[];
  /** Value of every level by channel, as `mean`. */
  private readonly values: Float32Array[];
  /** Elements of one crop. */
  private readonly size: number;

  constructor(private readonly recipe: ImageRecipe) {
    const { decoding, input, crops, scale, mean, std, channels } = recipe;
    this.crops = crops === 1 ? [centreOf(decoding, input)] : cropsOf(crops, decoding.width, input.width);
    this.values = mean.map((_, c) => Float32Array.from({ length: 256 }, (_, x) => (x * scale - mean[c]) / std[c]));
    this.size = input.width * input.height * CHANNELS[channels];
  }

  /** Rows of the model's input that one image takes. */
  get rows(): number {
    return this.crops.length;
  }

  /**
   * @param pixels  uint8 as `decodeImage` gives it
   * @returns       float32 for float16 too, see `asInput`
   */
  of(pixels: Uint8Array): Uint8Array | Float32Array {
    const { datatype, layout, channels, decoding, input } = this.recipe;
    const isWhole = this.rows === 1 && decoding.width === input.width && decoding.height === input.height;
    if (isWhole && datatype === 'UINT8' && layout === 'NHWC' && channels === 'RGB') return pixels;
    const out = datatype === 'UINT8' ? new Uint8Array(this.size * this.rows) : new Float32Array(this.size * this.rows);
    this.crops.forEach((crop, row) => {
      this.cut(pixels, crop, out.subarray(row * this.size, (row + 1) * this.size));
    });
    return out;
  }

  private cut(pixels: Uint8Array, { top, left, mirror }: Crop, out: Uint8Array | Float32Array): void {
    const { datatype, layout, channels, decoding, input } = this.recipe;
    const count = CHANNELS[channels];
    const [pixelStep, channelStep] = layout === 'NCHW' ? [1, input.width * input.height] : [count, 1];
    const step = decoding.channels;
    const direction = mirror ? -step : step;
    for (let c = 0; c < count; c++) {
      const values = this.values[c];
      let to = (channels === 'BGR' ? 2 - c : c) * channelStep;
      for (let y = 0; y < input.height; y++) {
        let from = ((top + y) * decoding.width + left + (mirror ? input.width - 1 : 0)) * step;
        for (let x = 0; x < input.width; x++, from += direction, to += pixelStep) {
          const level = channels === 'GREY' ? luminance(pixels, from) : pixels[from + c];
          out[to] = datatype === 'UINT8' ? level : values[level];
        }
      }
    }
  }
}

function centreOf(image: Size, { width, height }: Size): Crop {
  const { left } = centreCrop(image.width, width);
  return { top: centreCrop(image.height, height).top, left, mirror: false };
}
