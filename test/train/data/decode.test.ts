import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { decodeImage } from '../../../train/data/decode.js';

/** Each pixel tells where it is: red 20·x, green 30·y, blue 7. */
function gradient(width: number, height: number): Buffer {
  return Buffer.from(
    Array.from({ length: width * height }, (_, i) => [20 * (i % width), 30 * Math.floor(i / width), 7]).flat(),
  );
}
const rgb = (width: number, height: number) => ({ raw: { width, height, channels: 3 as const } });
const plain = { width: 11, height: 6, channels: 3 as const, background: { r: 200, g: 100, b: 50 } };

/** Asserts that every pixel is near one colour. */
function assertColour(pixels: Uint8Array, imagePx: number, colour: number[], tolerance: number): void {
  assert.equal(pixels.length, imagePx * imagePx * 3);
  const worst = Math.max(...Array.from(pixels, (value, i) => Math.abs(value - colour[i % 3])));
  assert.ok(worst <= tolerance, `differs from ${colour} by ${worst}: ${pixels.subarray(0, 3)}`);
}

test('cuts the centre of a wide and of a high image without touching its pixels', async () => {
  const wide = await sharp(gradient(10, 4), rgb(10, 4)).png().toBuffer();
  const cut = await decodeImage(wide, 4);
  const expected = [0, 1, 2, 3].flatMap((y) => [3, 4, 5, 6].flatMap((x) => [20 * x, 30 * y, 7]));
  assert.deepEqual([...cut], expected);
  const high = await sharp(gradient(3, 7), rgb(3, 7)).png().toBuffer();
  assert.deepEqual(
    [...(await decodeImage(high, 3))],
    [2, 3, 4].flatMap((y) => [0, 1, 2].flatMap((x) => [20 * x, 30 * y, 7])),
  );
});

test('resizes the short side down and up', async () => {
  const image = await sharp({ create: plain }).png().toBuffer();
  assertColour(await decodeImage(image, 3), 3, [200, 100, 50], 0);
  assertColour(await decodeImage(image, 17), 17, [200, 100, 50], 0);
  // Halved: left and right of the centre keep their order.
  const half = await decodeImage(await sharp(gradient(12, 8), rgb(12, 8)).png().toBuffer(), 4);
  assert.ok(half[0] < half[9] && half[1] < half[12 * 3 + 1], `${half}`);
});

test('turns an image upright by its EXIF orientation', async () => {
  // Orientation 6: stored lying, to be turned 90° clockwise; the stored left edge is the upright top.
  const lying = await sharp(gradient(5, 5), rgb(5, 5)).png().withMetadata({ orientation: 6 }).toBuffer();
  const upright = await decodeImage(lying, 5);
  const expected = [0, 1, 2, 3, 4].flatMap((y) => [0, 1, 2, 3, 4].flatMap((x) => [20 * y, 30 * (4 - x), 7]));
  assert.deepEqual([...upright], expected);
});

test('composites alpha on white', async () => {
  const background = { r: 200, g: 100, b: 50, alpha: 0.5 };
  const half = sharp({ create: { width: 8, height: 5, channels: 4, background } });
  assertColour(await decodeImage(await half.clone().png().toBuffer(), 5), 5, [227, 177, 152], 1);
  assertColour(await decodeImage(await half.clone().webp({ lossless: true }).toBuffer(), 4), 4, [227, 177, 152], 1);
  assertColour(await decodeImage(await half.clone().toColourspace('rgb16').png().toBuffer(), 4), 4, [227, 177, 152], 1);
});

test('gives three equal channels of a grey image, with and without alpha', async () => {
  const grey = { raw: { width: 7, height: 4, channels: 1 as const } };
  const image = await sharp(Buffer.alloc(28, 130), grey).toColourspace('b-w').png().toBuffer();
  assert.equal((await sharp(image).metadata()).channels, 1);
  assertColour(await decodeImage(image, 3), 3, [130, 130, 130], 0);
  const data = Buffer.from(Array.from({ length: 28 }, () => [0, 128]).flat());
  const withAlpha = await sharp(data, { raw: { width: 7, height: 4, channels: 2 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
  assertColour(await decodeImage(withAlpha, 3), 3, [127, 127, 127], 1);
});

test('brings 16-bit and CMYK images to 8-bit sRGB', async () => {
  const deep = await sharp({ create: plain }).toColourspace('rgb16').png().toBuffer();
  assert.equal((await sharp(deep).metadata()).depth, 'ushort');
  assertColour(await decodeImage(deep, 4), 4, [200, 100, 50], 1);
  const cmyk = await sharp({ create: plain }).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
  assert.equal((await sharp(cmyk).metadata()).space, 'cmyk');
  // Loose: the orange lies at the edge of the print gamut.
  assertColour(await decodeImage(cmyk, 4), 4, [200, 100, 50], 35);
});

test('takes the first frame of an animation', async () => {
  const frames = Buffer.concat([Buffer.alloc(6 * 5 * 3, 40), Buffer.alloc(6 * 5 * 3, 220)]);
  const gif = await sharp(frames, { raw: { width: 6, height: 10, channels: 3, pageHeight: 5 } })
    .gif()
    .toBuffer();
  assert.equal((await sharp(gif).metadata()).pages, 2);
  assertColour(await decodeImage(gif, 5), 5, [40, 40, 40], 2);
});

test('rejects bytes that are not an image and an image that is cut short', async () => {
  await assert.rejects(decodeImage(Buffer.from('text'), 4), /^Error: not a JPEG, PNG, .+ image$/);
  await assert.rejects(decodeImage(Buffer.alloc(0), 4), /^Error: the file is empty$/);
  const jpeg = await sharp(gradient(12, 8), rgb(12, 8)).resize(300, 200).jpeg().toBuffer();
  await assert.rejects(decodeImage(jpeg.subarray(0, jpeg.length / 2), 4), /^Error: the file is cut short$/);
});
