/**
 * Images as Hugging Face's preprocessors and Pillow prepare them, against what Pillow gave:
 * test/fixtures/pillow_golden.py.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { openClassifier } from '../../serve/inference/classifier.js';
import { type ColourModel, writeColourModel } from './colour-model.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-pillow-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

/** A model that takes `size`, with the two files that Hugging Face's exporter leaves. */
async function open(size: { width: number; height: number }, preprocessor: object, model: ColourModel = {}) {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  const config = { id2label: { 0: 'r', 1: 'g', 2: 'b' } };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(preprocessor));
  const file = writeColourModel(join(folder, 'model.onnx'), { size, ...model });
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log });
  after(() => classifier.release());
  return Object.assign(classifier, { lines });
}

const SIZES = { wide: [37, 23], small: [13, 9], even: [34, 14] } as const;

async function image(name: keyof typeof SIZES): Promise<Buffer> {
  const [width, height] = SIZES[name];
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [y, x, c] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    return (x * 31 + y * 47 + c * 83 + x * y * (c + 1)) % 256;
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

interface Golden {
  image: keyof typeof SIZES;
  resample: number;
  size: { width: number; height: number } | { shortest_edge: number };
  crop_size?: number;
  /** Base64. */
  pixels: string;
}

const FIXTURE = new URL('../../../test/fixtures/pillow-golden.json', import.meta.url);
const GOLDEN = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Golden[];
const colours = { image_mean: [0, 0, 0], image_std: [1, 1, 1] };

/** What of a decoded image goes into the network. */
function centre(pixels: Uint8Array, from: number, size: number): Uint8Array {
  const margin = Math.floor((from - size) / 2);
  return Uint8Array.from({ length: size * size * 3 }, (_, i) => {
    const [y, x, c] = [Math.floor(i / 3 / size), Math.floor(i / 3) % size, i % 3];
    return pixels[((margin + y) * from + margin + x) * 3 + c];
  });
}

test('resizes with every filter of Pillow, up and down, stretched and cut, to the bit', async () => {
  for (const { image: name, resample, size, crop_size: crop, pixels } of GOLDEN) {
    const input = crop ? { width: crop, height: crop } : (size as { width: number; height: number });
    const { decode, model } = await open(input, {
      size,
      resample,
      do_center_crop: crop !== undefined,
      crop_size: crop,
      ...colours,
    });
    const decoded = await decode(await image(name));
    const given = crop ? centre(decoded, model.imagePx, crop) : decoded;
    const wanted = Buffer.from(pixels, 'base64');
    assert.deepEqual(Buffer.from(given), wanted, `${name}, filter ${resample}, to ${JSON.stringify(size)}`);
  }
});

test('resizes of a thin image what is not cut off, and a cut may have the length that the image had', async () => {
  const { decode } = await open(
    { width: 12, height: 12 },
    { size: 12, do_center_crop: true, crop_size: 12, ...colours },
  );
  const thin = sharp({ create: { width: 1, height: 1_000_000, channels: 3, background: '#123456' } });
  assert.deepEqual([...(await decode(await thin.png().toBuffer())).subarray(-3)], [0x12, 0x34, 0x56]);
  const png = await image('wide'); // 37 × 23
  const whole = { width: 59, height: 37 };
  const stretched = await (await open(whole, { size: whole, ...colours })).decode(png);
  const cut = { size: { shortest_edge: 37 }, do_center_crop: true, crop_size: 37, ...colours };
  const part = await (await open({ width: 37, height: 37 }, cut)).decode(png);
  for (let y = 0; y < 37; y++) {
    const start = (y * 59 + 11) * 3;
    assert.deepEqual(part.subarray(y * 37 * 3, (y + 1) * 37 * 3), stretched.subarray(start, start + 37 * 3));
  }
});

test('stretches if nothing is cut, in whatever form the size is given', async () => {
  const png = await image('wide');
  const forms = [
    { size: 12 },
    { size: { height: 12, width: 12 } },
    { size: { shortest_edge: 12 }, do_center_crop: false },
  ];
  const all = await Promise.all(
    forms.map(async (form) => (await open({ width: 12, height: 12 }, { ...form, ...colours })).decode(png)),
  );
  for (const other of all.slice(1)) assert.deepEqual(other, all[0]);
  const { model } = await open({ width: 12, height: 12 }, { size: 12, ...colours });
  assert.deepEqual([model.imagePx, model.fit], [12, 'stretch']);
});

test('cuts as ConvNext’s preprocessor below 384 pixels, and stretches from there on', async () => {
  const convnext = { image_processor_type: 'ConvNextImageProcessor', crop_pct: 0.875, ...colours };
  const small = await open({ width: 14, height: 14 }, { ...convnext, size: { shortest_edge: 14 } });
  assert.deepEqual([small.model.imagePx, small.model.fit], [16, 'cut']);
  const large = await open({ width: 384, height: 384 }, { ...convnext, size: { shortest_edge: 384 } });
  assert.deepEqual([large.model.imagePx, large.model.fit], [384, 'stretch']);
  const whole = { ...convnext, size: { shortest_edge: 14 }, do_center_crop: false };
  assert.equal((await open({ width: 14, height: 14 }, whole)).model.fit, 'stretch');
});

test('takes images as they are if do_resize is false, and refuses other sizes', async () => {
  const exact = await open({ width: 37, height: 23 }, { do_resize: false, do_center_crop: false, ...colours });
  const png = await image('wide');
  const whole = await sharp(png).raw().toBuffer();
  assert.deepEqual(await exact.decode(png), whole);
  await assert.rejects(exact.decode(await image('small')), /expected an image of 37 × 23 pixels .* got 13 × 9/);
  const cut = await open({ width: 9, height: 9 }, { do_resize: false, do_center_crop: true, crop_size: 9, ...colours });
  const [row] = [await cut.decode(png)];
  assert.deepEqual([...row.subarray(0, 3)], [...whole.subarray((7 * 37 + 14) * 3, (7 * 37 + 14) * 3 + 3)]);
});

test('follows what each processor does where a key is absent', async () => {
  const png = await image('wide');
  const decoded = async (size: number, preprocessor: object) =>
    (await open({ width: size, height: size }, { size, ...colours, ...preprocessor })).decode(png);
  const named = (name: string) => ({ image_processor_type: `${name}ImageProcessor` });
  assert.deepEqual(await decoded(12, named('EfficientNet')), await decoded(12, { resample: 0 }));
  assert.deepEqual(await decoded(12, named('Siglip')), await decoded(12, { resample: 3 }));
  const poolFormer = { ...named('PoolFormer'), crop_size: 12 };
  assert.deepEqual(await decoded(224, named('Levit')), await decoded(224, { ...named('Levit'), crop_size: 224 }));
  const both = { ...poolFormer, size: { height: 12, width: 12 } };
  assert.deepEqual(await decoded(12, both), await decoded(12, poolFormer));
  const colourless = { ...named('MobileViT'), crop_size: 4, image_mean: undefined, image_std: undefined };
  close(
    await inputMeans(colourless),
    [0x99, 0x66, 0x33].map((level) => level / 255),
  );
});

/** Length of an image, its short side once resized, and where torchvision's crop of 15 begins. */
const TORCHVISION = [
  [36, 23, 10], // int(round(10.5)) of Python
  [38, 23, 12], // 11.5
  [37, 23, 11],
  [36, 22, 10],
  [38, 22, 12],
  [41, 21, 13],
];

test('cuts as torchvision does where our own description names a filter', async () => {
  for (const [width, height, left] of TORCHVISION) {
    const folder = join(root, String(folders++));
    mkdirSync(folder);
    const input = { resize: height, resample: 'bilinear' };
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ labels: ['r', 'g', 'b'], input }));
    const file = writeColourModel(join(folder, 'model.onnx'), { size: { width: 15, height: 15 } });
    const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log: () => undefined });
    after(() => classifier.release());
    const row = Uint8Array.from({ length: width * 3 }, (_, i) => 5 * Math.floor(i / 3));
    const pixels = Buffer.concat(Array<Uint8Array>(height).fill(row));
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const decoded = await classifier.decode(png);
    const margin = Math.floor((classifier.model.imagePx - 15) / 2); // cut off by the model's crop
    assert.equal(decoded[margin * 3], 5 * left, `${width} × ${height}`);
  }
});

/** Its logits are 4 × the mean of the input by channel, less 1. */
async function inputMeans(preprocessor: object): Promise<number[]> {
  const size = { width: 4, height: 4 };
  const classifier = await open(size, { size: 4, ...preprocessor });
  const grey = await sharp({ create: { ...size, channels: 3, background: '#336699' } })
    .png()
    .toBuffer();
  const probabilities = [...(await classifier.infer([await classifier.decode(grey)]))[0]];
  const logs = probabilities.map((value) => Math.log(value) / 4);
  return logs.map((log) => log - logs[0]);
}

function close(actual: readonly number[], wanted: readonly number[]): void {
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - (wanted[i] - wanted[0])) < 1e-5, `${i}: ${value}, expected ${wanted[i] - wanted[0]}`);
  });
}

test('rescales and normalises as the preprocessor says', async () => {
  const levels = [0x33, 0x66, 0x99];
  const [mean, std] = [
    [0.4, 0.5, 0.3],
    [0.5, 0.25, 2],
  ];
  const given = { image_mean: mean, image_std: std };
  const unit = levels.map((level) => level / 255);
  close(
    await inputMeans(given),
    unit.map((x, c) => (x - mean[c]) / std[c]),
  );
  close(await inputMeans({ ...given, do_normalize: false }), unit);
  close(
    await inputMeans({ do_normalize: false, do_rescale: true, rescale_factor: 1 / 500 }),
    levels.map((x) => x / 500),
  );
  close(
    await inputMeans({ image_mean: 0.5, image_std: 0.5 }),
    unit.map((x) => (x - 0.5) / 0.5),
  );
  const efficientNet = { image_processor_type: 'EfficientNetImageProcessor', rescale_offset: true, ...given };
  close(
    await inputMeans(efficientNet),
    unit.map((x, c) => (x - 1 - mean[c]) / std[c] ** 2),
  );
  close(
    await inputMeans({ ...efficientNet, include_top: false }),
    unit.map((x, c) => (x - 1 - mean[c]) / std[c]),
  );
  close(await inputMeans({ do_normalize: false, do_flip_channel_order: true }), unit.toReversed());
  close(
    await inputMeans({ do_rescale: false, image_mean: levels, image_std: [100, 50, 200], do_normalize: true }),
    [0, 0, 0],
  );
});

test('drops alpha and colour profiles as Pillow’s convert does', async () => {
  const { decode } = await open({ width: 2, height: 2 }, { size: 2, ...colours });
  const half = await sharp({
    create: { width: 2, height: 2, channels: 4, background: { r: 200, g: 10, b: 0, alpha: 0.5 } },
  })
    .png()
    .toBuffer();
  assert.deepEqual([...(await decode(half)).subarray(0, 3)], [200, 10, 0]);
});

/** Two pixels, CMYK 100 50 7 90 and 0 255 128 0: a TIFF file that Pillow wrote. */
const INKS =
  'SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAQAAAAIBAwAEAAAAhgAAAAMBAwABAAAAAQAAAAYBAwABAAAABQAAABEBBAABAAAAjgAA' +
  'ABUBAwABAAAABAAAABYBBAABAAAAAQAAABcBBAABAAAACAAAABwBAwABAAAAAQAAAAAAAAAIAAgACAAIAGQyB1oA/4AA';

test('makes colours of inks as Pillow’s convert does', async () => {
  const { decode } = await open({ width: 2, height: 1 }, { size: { width: 2, height: 1 }, ...colours });
  assert.deepEqual([...(await decode(Buffer.from(INKS, 'base64')))], [100, 133, 160, 255, 0, 127]);
});

/** The same inks in 16 bits, and with an alpha of 255. */
const OTHER_INKS = [
  'SUkqAAgAAAALAAABBAABAAAAAgAAAAEBBAABAAAAAQAAAAIBAwAEAAAAkgAAAAMBAwABAAAAAQAAAAYBAwABAAAABQAAABEBBAABAAAAmgAAAB' +
    'UBAwABAAAABAAAABYBBAABAAAAAQAAABcBBAABAAAAEAAAABwBAwABAAAAAQAAAEwBAwABAAAAAQAAAAAAAAAQABAAEAAQAGRkMjIHB1paAAD/' +
    '/4CAAAA=',
  'SUkqAAgAAAAMAAABBAABAAAAAgAAAAEBBAABAAAAAQAAAAIBAwAFAAAAngAAAAMBAwABAAAAAQAAAAYBAwABAAAABQAAABEBBAABAAAAqAAAAB' +
    'UBAwABAAAABQAAABYBBAABAAAAAQAAABcBBAABAAAACgAAABwBAwABAAAAAQAAAEwBAwABAAAAAQAAAFIBAwABAAAAAgAAAAAAAAAIAAgACAAI' +
    'AAgAZDIHWv8A/4AA/w==',
];

test('takes inks that Pillow does not read as libvips converts them', async () => {
  const { decode } = await open({ width: 2, height: 1 }, { size: { width: 2, height: 1 }, ...colours });
  const wanted = await sharp(Buffer.from(INKS, 'base64')).toColourspace('srgb').raw().toBuffer();
  for (const inks of OTHER_INKS)
    for (const [i, level] of (await decode(Buffer.from(inks, 'base64'))).entries())
      assert.ok(Math.abs(level - wanted[i]) <= 2, `${i}: ${level}, expected ${wanted[i]}`);
});

const REFUSED: Record<string, [object, RegExp]> = {
  'a bound on the long side': [{ size: { shortest_edge: 8, longest_edge: 16 } }, /size\.longest_edge is not supported/],
  'no size': [{}, /preprocessor_config\.json: size: missing/],
  'no size of its crop': [{ size: 8, do_center_crop: true }, /crop_size: missing/],
  'no word on normalisation': [{ size: 8, image_mean: undefined }, /do_normalize: expected image_mean and image_std/],
  padding: [{ size: 8, do_pad: true }, /do_pad: true is not supported/],
  'a filter that Pillow does not have': [{ size: 8, resample: 6 }, /resample/],
  'a mean that is not there': [{ size: 8, do_normalize: true, image_mean: null }, /do_normalize: expected image_mean/],
  'a crop larger than the image': [{ size: 8, do_center_crop: true, crop_size: 9 }, /9 × 9 pixels|expected at least/],
  'another size than the model’s': [{ size: 9 }, /description next to it says 9 × 9 pixels/],
};
for (const [name, [preprocessor, message]] of Object.entries(REFUSED)) {
  test(`refuses a preprocessor with ${name}`, () =>
    assert.rejects(open({ width: 8, height: 8 }, { ...colours, ...preprocessor }), message));
}

test('says which keys of a preprocessor it does not know, and does not mind those that are off', async () => {
  const { lines } = await open(
    { width: 8, height: 8 },
    { size: 8, ...colours, do_magic: true, do_pad: false, size_divisor: null },
  );
  const said = lines.filter((line) => /is unknown/.test(line));
  assert.equal(said.length, 1);
  assert.match(said[0], /preprocessor_config\.json: do_magic is unknown, and is ignored/);
});
