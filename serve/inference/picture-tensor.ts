/** From a decoded picture to what a model takes: crops cut out, colours scaled and centred, channels and axes in the model's order. */
import { type Crop, type CropCount, cropsOf } from '../../model/crops.js';

/** How pictures become a model's input. Its values are (x · scale − mean) / std for x in 0 … 255, or x itself where it takes uint8. */
export interface PictureRecipe {
  datatype: 'UINT8' | 'FP32';
  layout: 'NHWC' | 'NCHW';
  channels: 'RGB' | 'BGR';
  /** Side of the decoded square, pixels. */
  imagePx: number;
  /** Side of the model's input, pixels, at most imagePx. */
  inputPx: number;
  /** Crops cut here, averaged afterwards (paper, §4.1); see `cropsOf`. */
  crops: CropCount;
  scale: number;
  /** R, G, B, as the two below. */
  mean: readonly [number, number, number];
  std: readonly [number, number, number];
}

export class PictureTensor {
  private readonly crops: readonly Crop[];
  /** Value of every level by channel, R, G, B. */
  private readonly values: Float32Array[];
  /** Elements of one crop. */
  private readonly size: number;

  constructor(private readonly recipe: PictureRecipe) {
    const { imagePx, inputPx, crops, scale, mean, std } = recipe;
    this.crops = cropsOf(crops, imagePx, inputPx);
    this.values = [0, 1, 2].map((c) => Float32Array.from({ length: 256 }, (_, x) => (x * scale - mean[c]) / std[c]));
    this.size = inputPx * inputPx * 3;
  }

  /** Rows of the model's input that one picture takes. */
  get rows(): number {
    return this.crops.length;
  }

  /** @param pixels  uint8 RGB [imagePx, imagePx, 3] */
  of(pixels: Uint8Array): Uint8Array | Float32Array {
    const { datatype, layout, channels, imagePx, inputPx } = this.recipe;
    const isWhole = this.rows === 1 && imagePx === inputPx;
    if (isWhole && datatype === 'UINT8' && layout === 'NHWC' && channels === 'RGB') return pixels;
    const out = datatype === 'UINT8' ? new Uint8Array(this.size * this.rows) : new Float32Array(this.size * this.rows);
    this.crops.forEach((crop, row) => {
      this.cut(pixels, crop, out.subarray(row * this.size, (row + 1) * this.size));
    });
    return out;
  }

  private cut(pixels: Uint8Array, { top, left, mirror }: Crop, out: Uint8Array | Float32Array): void {
    const { datatype, layout, channels, imagePx, inputPx } = this.recipe;
    const [pixelStep, channelStep] = layout === 'NCHW' ? [1, inputPx * inputPx] : [3, 1];
    const direction = mirror ? -3 : 3;
    for (let c = 0; c < 3; c++) {
      const values = this.values[c];
      let to = (channels === 'RGB' ? c : 2 - c) * channelStep;
      for (let y = 0; y < inputPx; y++) {
        let from = ((top + y) * imagePx + left + (mirror ? inputPx - 1 : 0)) * 3 + c;
        for (let x = 0; x < inputPx; x++, from += direction, to += pixelStep) {
          out[to] = datatype === 'UINT8' ? pixels[from] : values[pixels[from]];
        }
      }
    }
  }
}
