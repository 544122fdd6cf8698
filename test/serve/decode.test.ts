import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError } from '../../serve/errors.js';
import { allowOnlyImages, decodeImage } from '../../serve/inference/image/decode.js';
import { corner } from './images.js';

const gif = await corner(0).gif().toBuffer();
const tiff = await corner(0).tiff().toBuffer();
const png = await corner(0, 6, 10).png().toBuffer();
allowOnlyImages();
const SQUARE = { width: 4, height: 4, channels: 3, fit: 'cut' } as const;

test('gives interleaved RGB of the square asked for', async () => {
  const pixels = await decodeImage(png, SQUARE, 60);
  assert.equal(pixels.length, 4 * 4 * 3);
  assert.deepEqual([...pixels.slice(0, 3)], [255, 255, 255]);
  assert.deepEqual([...pixels.slice(-3)], [0, 0, 0]);
});

test('has no loader for anything but JPEG, PNG and WebP, whatever was let in', async () => {
  for (const bytes of [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), gif, tiff]) {
    await assert.rejects(decodeImage(bytes, SQUARE, 1000), (error: RequestError) => {
      assert.ok(error instanceof RequestError);
      assert.equal(error.code, 'INVALID_IMAGE');
      assert.match(error.message, /unsupported image format$/);
      return true;
    });
  }
});

test('refuses one pixel more than allowed', async () => {
  await assert.rejects(decodeImage(png, SQUARE, 59), {
    name: 'RequestError',
    code: 'IMAGE_TOO_MANY_PIXELS',
    message: 'the image has more than 59 pixels; send a smaller one',
  });
});
