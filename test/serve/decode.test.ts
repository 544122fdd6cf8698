import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { centre, resizedTo } from '../../base/image/fit.js';
import { resample } from '../../base/image/resample.js';
import { RequestError } from '../../serve/errors.js';
import { allowOnlyImages, decodeImage } from '../../serve/inference/image/decode.js';
import { corner, pattern } from './images.js';

const png = await corner(0, 6, 10).png().toBuffer();
allowOnlyImages();
const SQUARE = { width: 4, height: 4, channels: 3, fit: 'cut' } as const;

test('gives interleaved RGB of the square asked for', async () => {
  const pixels = await decodeImage(png, SQUARE, 60);
  assert.equal(pixels.length, 4 * 4 * 3);
  assert.deepEqual([...pixels.slice(0, 3)], [255, 255, 255]);
  assert.deepEqual([...pixels.slice(-3)], [0, 0, 0]);
});

test('has no loader for other formats, whatever was let in', async () => {
  for (const bytes of [
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    Buffer.from('P3 1 1 255 1 2 3'),
  ]) {
    await assert.rejects(decodeImage(bytes, SQUARE, 1000), (error: RequestError) => {
      assert.ok(error instanceof RequestError);
      assert.equal(error.code, 'INVALID_IMAGE');
      assert.match(error.message, /: not a JPEG, PNG, .+ image$/);
      return true;
    });
  }
});

test('refuses one pixel more than allowed', async () => {
  await assert.rejects(decodeImage(png, SQUARE, 59), {
    name: 'RequestError',
    code: 'IMAGE_TOO_MANY_PIXELS',
    message: 'the image has more than 59 pixels; make it smaller',
  });
});

test('cuts the centre from where Python rounds half a pixel to, for a network of torchvision', async () => {
  for (const [width, start] of [
    [257, 0], // round(0.5)
    [259, 2], // round(1.5)
    [261, 2],
    [260, 2],
  ]) {
    const raw = Buffer.from(Array.from({ length: width * 256 * 3 }, (_, i) => (Math.floor(i / 3) % width) % 256));
    const bytes = await sharp(raw, { raw: { width, height: 256, channels: 3 } })
      .png()
      .toBuffer();
    const decoding = {
      width: 256,
      height: 256,
      channels: 3,
      fit: 'cut',
      resampling: 'bilinear',
      evenStart: true,
    } as const;
    const pixels = await decodeImage(bytes, decoding, 1e6);
    assert.deepEqual([pixels.length, pixels[0]], [256 ** 2 * 3, start], `${width} pixels`);
  }
});

test('a static site resizes and cuts to the pixels of the server, whatever is rounded', async () => {
  const decoding = { ...SQUARE, width: 64, height: 64 };
  for (const [width, height] of [
    [200, 150], // 85.3 columns of 64
    [133, 97], // 87.8
    [97, 150], // 99.0 rows
    [199, 148], // 86.1 columns
  ]) {
    const raw = await pattern(width, height).blur(4).normalise().raw().toBuffer();
    const png = await sharp(raw, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const served = await decodeImage(png, decoding, 1e6);
    const to = resizedTo({ width, height }, decoding);
    const cut = centre(resample(raw, { width, height }, to, 'lanczos'), to, decoding);
    const mean = served.reduce((sum, level, i) => sum + Math.abs(level - cut[i]), 0) / served.length;
    assert.ok(mean < 1, `${width} × ${height}: ${mean} levels apart`); // a pixel further: 3 to 8
  }
});
