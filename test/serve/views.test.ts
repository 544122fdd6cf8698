import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { assertClose } from '../model/close.js';
import { post, running } from './running.js';
import {
  CROPS,
  cropOf,
  IMAGE_PX,
  INPUT_PX,
  kernelOf,
  LABELS,
  LAYERS,
  MEAN_RGB,
  pixelsOf,
  pngOf,
  probabilitiesOf,
  valuesOf,
  writeSmallNetwork,
} from './small-network.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-views-'));
after(() => rmSync(folder, { recursive: true }));
const file = await writeSmallNetwork(join(folder, 'small.onnx'));
const { url } = await running({ file });
const pixels = pixelsOf(1);
const image = await pngOf(pixels);

async function get<T>(path: string): Promise<T> {
  const response = await fetch(url + path);
  assert.equal(response.status, 200, path);
  return (await response.json()) as T;
}

/** Tensors of a safetensors answer, read as its README says. */
function tensorsOf(body: ArrayBuffer): Record<string, { shape: number[]; data: Float32Array }> {
  const length = Number(new DataView(body).getBigUint64(0, true));
  const { __metadata__, ...entries } = JSON.parse(Buffer.from(body, 8, length).toString());
  type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };
  return Object.fromEntries(
    Object.entries(entries as Record<string, Entry>).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        assert.equal(dtype, 'F32');
        return [name, { shape, data: new Float32Array(body, 8 + length + begin, (end - begin) / 4) }];
      },
    ),
  );
}

// Float32 sums of up to 108 products of values up to some hundreds, in two orders.
const close = (actual: Float32Array, expected: Float32Array) =>
  assertClose(actual, expected, 1e-5 * expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0));

test('gives the activations of every layer as tfjs computes them, for the centre crop and for a mirrored one', async () => {
  for (const [query, crop] of [
    ['', CROPS[4]],
    ['?crop=6', CROPS[6]],
  ] as const) {
    const response = await post(url, image, {}, `/explain/activations${query}`);
    const tensors = tensorsOf(await response.arrayBuffer());
    assert.deepEqual(Object.keys(tensors), [...LAYERS, 'probabilities']);
    for (const layer of LAYERS) {
      const { shape, data } = valuesOf([cropOf(pixels, crop)], layer);
      assert.deepEqual(tensors[layer].shape, shape.slice(1), layer);
      close(tensors[layer].data, data);
    }
  }
});

test('gives the layers that are asked for alone', async () => {
  const response = await post(url, image, {}, '/explain/activations?layers=fc7,conv2');
  assert.deepEqual(Object.keys(tensorsOf(await response.arrayBuffer())), ['fc7', 'conv2']);
});

test('tells each layer with the size formula filled in, parameters, and what a unit sees', async () => {
  const { layers, totals, input } = await get<{
    layers: Record<string, unknown>[];
    totals: object;
    input: { shape: number[] };
  }>('/explain/layers');
  assert.deepEqual(input.shape, [3, 19, 19]);
  const named = (name: string) => layers.find((layer) => layer.name === name)!;
  const { formula, output, parameters, macs, receptive_field, views, activation } = named('conv1');
  assert.equal(formula, '(W − F + 2P) / S + 1 = (19 − 5 + 2·0) / 2 + 1 = 8');
  assert.deepEqual(output, [8, 8, 8]);
  assert.equal(parameters, 5 * 5 * 3 * 8 + 8);
  assert.equal(macs, 8 * 8 * 5 * 5 * 3 * 8);
  assert.deepEqual(receptive_field, { size: 5, stride: 2, start: 0 });
  assert.deepEqual(views, ['activations', 'kernels']);
  assert.equal(activation, 'Relu');
  assert.equal(named('pool1').formula, '(W − F + 2P) / S + 1 = (8 − 3 + 2·0) / 2 + 1 = 3.5, rounded down: 3');
  // Two groups of 4 channels each; windows of 3 at stride 1 on maps whose pixels lie 4 apart and see 9.
  assert.equal(named('conv2').parameters, 3 * 3 * 4 * 12 + 12);
  assert.deepEqual(named('conv2').receptive_field, { size: 9 + 2 * 4, stride: 4, start: -4 });
  assert.deepEqual(named('norm1').lrn, { size: 5, alpha: 0.05, beta: 0.75, bias: 2 }); // ONNX divides α by the size
  assert.deepEqual(named('fc6').input, [108]);
  const fc = 108 * 10 + 10 + 10 * 7 + 7 + 7 * 5 + 5;
  assert.deepEqual(totals, { parameters: 608 + 444 + fc, macs: 38400 + 9 * 432 + 1080 + 70 + 35 });
});

test('answers what each crop alone gives, whose mean is the prediction', async () => {
  type Answer = {
    predictions: { index: number; probability: number }[];
    by_crop: {
      name: string;
      top: number;
      left: number;
      size: number;
      mirror: boolean;
      predictions: { index: number; probability: number }[];
    }[];
    image_px: number;
  };
  const answer = (await (await post(url, image, {}, `/classify?by_crop=true&top=${LABELS.length}`)).json()) as Answer;
  assert.equal(answer.image_px, IMAGE_PX);
  const geometry = answer.by_crop.map(({ top, left, mirror }) => ({ top, left, mirror }));
  assert.deepEqual(geometry, CROPS);
  assert.equal(answer.by_crop[9].name, 'centre, mirrored');
  const expected = probabilitiesOf(CROPS.map((crop) => cropOf(pixels, crop)));
  answer.by_crop.forEach(({ size, predictions }, i) => {
    assert.equal(size, INPUT_PX);
    for (const { index, probability } of predictions) assertClose([probability], [expected[i][index]], 1e-5);
    assert.ok(predictions.every(({ probability }, k) => k === 0 || probability <= predictions[k - 1].probability));
  });
  for (const { index, probability } of answer.predictions) {
    const mean = answer.by_crop.reduce(
      (sum, { predictions }) => sum + predictions.find((other) => other.index === index)!.probability / 10,
      0,
    );
    assertClose([probability], [mean], 1e-6);
  }
  const plain = await (await post(url, image)).json();
  assert.equal('by_crop' in (plain as object), false);
});

for (const { what, head, crops, cut, mean } of [
  { what: 'one crop', head: 'image', crops: 1, cut: [4] },
  { what: 'corners and centre', head: 'image', crops: 5, cut: [0, 1, 2, 3, 4] },
  { what: 'the tensor head, fed with the centre', head: 'tensor', cut: [4], mean: (at: number) => MEAN_RGB[at % 3] },
] as const) {
  test(`answers with no mirror image if the file averages none: ${what}`, async () => {
    const file = await writeSmallNetwork(join(folder, `${what}.onnx`), head, undefined, crops);
    const served = await running({ file });
    const response = await post(served.url, image, {}, `/classify?by_crop=true&top=${LABELS.length}`);
    type Answer = {
      crops: number;
      predictions: { index: number; probability: number }[];
      by_crop: { mirror: boolean }[];
    };
    const answer = (await response.json()) as Answer;
    assert.equal(answer.crops, cut.length);
    assert.deepEqual(
      answer.by_crop.map(({ mirror }) => mirror),
      cut.map(() => false),
    );
    const single = probabilitiesOf(cut.map((at) => cropOf(pixels, CROPS[at], mean)));
    for (const { index, probability } of answer.predictions) {
      const expected = single.reduce((sum, probabilities) => sum + probabilities[index] / cut.length, 0);
      assertClose([probability], [expected], 1e-5);
    }
  });
}

test('shows response normalisation at a place with its neighbours, as the paper computes it', async () => {
  type View = Record<'channel' | 'y' | 'x' | 'before' | 'after' | 'sum_of_squares', number> & {
    neighbours: { channel: number; before: number; after: number; square: number }[];
    input: string;
    filled: string;
  };
  const before = valuesOf([cropOf(pixels)], 'conv1').data;
  const after = valuesOf([cropOf(pixels)], 'norm1').data;
  const at = (c: number, y: number, x: number) => c * 64 + y * 8 + x;
  for (const [channel, channels] of [
    [3, [1, 2, 3, 4, 5]],
    [7, [5, 6, 7]],
  ] as const) {
    const path = `/explain/lrn?layer=norm1&channel=${channel}&y=2&x=5`;
    const view = (await (await post(url, image, {}, path)).json()) as View;
    assert.equal(view.input, 'conv1');
    assert.deepEqual(
      view.neighbours.map((one) => one.channel),
      channels,
    );
    for (const one of view.neighbours) {
      assertClose([one.before, one.after], [before[at(one.channel, 2, 5)], after[at(one.channel, 2, 5)]], 1e-3);
    }
    const squares = channels.reduce((sum, c) => sum + before[at(c, 2, 5)] ** 2, 0);
    const own = before[at(channel, 2, 5)];
    assertClose([view.after], [own / (2 + 0.01 * squares) ** 0.75], 1e-4);
    assert.match(view.filled, /^[\d.]+ \/ \(2 \+ 0\.05\/5 · [\d.]+\)\^0\.75 = [\d.]+$/);
  }
  const view = (await (await post(url, image, {}, '/explain/lrn?layer=norm1')).json()) as View;
  const largest = before.indexOf(before.reduce((a, b) => Math.max(a, b)));
  assert.equal(at(view.channel, view.y, view.x), largest);
  const third = (await (await post(url, image, {}, '/explain/lrn?layer=norm1&channel=3')).json()) as View;
  const own = before.subarray(3 * 64, 4 * 64);
  assert.equal(at(0, third.y, third.x), own.indexOf(own.reduce((a, b) => Math.max(a, b))));
});

test('maps the probability with a patch of the mean colour on every place, as tfjs gives it for the same crops', async () => {
  const response = await post(url, image, {}, '/explain/occlusion?patch=6&stride=5&class=2&crop=5');
  assert.match(response.headers.get('content-type')!, /^application\/x-ndjson/);
  const lines = (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const [start, ...rest] = lines;
  const end = rest.pop();
  const row = cropOf(pixels, CROPS[5]);
  assert.deepEqual(start.y, [0, 5, 10, 13]); // the last one ends where the crop does
  assert.deepEqual([start.rows, start.columns, start.total, start.crop.mirror], [4, 4, 16, true]);
  assert.equal(start.class.label, 'cat');
  assertClose([start.probability], [probabilitiesOf([row])[0][2]], 1e-5);
  const covered = start.y.flatMap((top: number) =>
    start.x.map((left: number) =>
      row.map((value, i) => {
        const [y, x] = [Math.floor(i / 3 / INPUT_PX), Math.floor(i / 3) % INPUT_PX];
        return y >= top && y < top + 6 && x >= left && x < left + 6 ? 0 : value;
      }),
    ),
  );
  const expected = probabilitiesOf(covered);
  assert.deepEqual(
    rest.map(({ first, done }) => [first, done]),
    [
      [0, 8],
      [8, 16],
    ],
  );
  const probabilities = rest.flatMap((line) => line.probabilities);
  assertClose(
    probabilities,
    expected.map((values) => values[2]),
    1e-5,
  );
  assert.ok(Math.max(...probabilities) - Math.min(...probabilities) > 0.01); // the map is not flat
  assert.deepEqual(
    rest.flatMap((line) => line.tops),
    expected.map((values) => values.indexOf(Math.max(...values))),
  );
  const lowest = Math.min(...probabilities);
  assert.deepEqual(end.lowest, {
    row: Math.floor(probabilities.indexOf(lowest) / 4),
    column: probabilities.indexOf(lowest) % 4,
    probability: lowest,
  });
});

test("gives conv1's kernels as they were trained, in the groups of the next convolution", async () => {
  const response = await fetch(`${url}/explain/kernels?format=safetensors`);
  const { conv1 } = tensorsOf(await response.arrayBuffer());
  assert.deepEqual(conv1.shape, [8, 3, 5, 5]);
  const { data } = kernelOf('conv1'); // [5, 5, 3, 8]
  const expected = Float32Array.from({ length: 600 }, (_, i) => {
    const [o, c, y, x] = [Math.floor(i / 75), Math.floor(i / 25) % 3, Math.floor(i / 5) % 5, i % 5];
    return data[((y * 5 + x) * 3 + c) * 8 + o];
  });
  assertClose(conv1.data, expected, 0);
  const drawing = await fetch(`${url}/explain/kernels`);
  const layout = JSON.parse(drawing.headers.get('x-view')!);
  assert.deepEqual([layout.count, layout.groups, layout.columns], [8, 2, 4]);
  const { data: drawn, info } = await sharp(await drawing.arrayBuffer())
    .raw()
    .toBuffer({ resolveWithObject: true });
  const scaled = (kernel: number, i: number) => {
    const own = expected.subarray(kernel * 75, (kernel + 1) * 75);
    return 127.5 + (127.5 * own[i]) / own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  };
  // Kernel 5 is the second of the second group; its pixel (3, 1).
  const pixel = layout.tile_px / 5;
  const y = layout.group_top[1] + 3 * pixel + Math.floor(pixel / 2);
  const x = 2 + layout.step_px + pixel + Math.floor(pixel / 2);
  const colour = [0, 1, 2].map((c) => drawn[(y * info.width + x) * info.channels + c]);
  assertClose(
    colour,
    [0, 1, 2].map((c) => scaled(5, c * 25 + 3 * 5 + 1)),
    1,
  );
});

test('shows the image and its crops as the network sees them', async () => {
  for (const [query, side, at] of [
    ['', IMAGE_PX, (y: number, x: number) => y * IMAGE_PX + x],
    ['?crop=8', INPUT_PX, (y: number, x: number) => (4 + y) * IMAGE_PX + 4 + INPUT_PX - 1 - x],
  ] as const) {
    const answer = await post(url, image, {}, `/explain/picture${query}`);
    const { data, info } = await sharp(await answer.arrayBuffer())
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height, info.channels], [side, side, 3]);
    for (const [y, x] of [
      [0, 0],
      [3, 11],
      [side - 1, side - 2],
    ])
      assert.deepEqual(
        [...data.subarray((y * side + x) * 3, (y * side + x) * 3 + 3)],
        [...pixels.subarray(at(y, x) * 3, at(y, x) * 3 + 3)],
      );
  }
});

test('tells the file and its graph', async () => {
  const { metadata, opset, sha256 } = await get<{ metadata: { labels: string[] }; opset: number; sha256: string }>(
    '/explain/metadata',
  );
  assert.deepEqual(metadata.labels, LABELS);
  assert.equal(opset, 13);
  assert.match(sha256, /^[0-9a-f]{64}$/);
  const graph = await get<{
    nodes: { op: string; outputs: string[]; inputs: string[]; attributes: Record<string, unknown>; shape: unknown[] }[];
    initializers: { name: string; dims: number[] }[];
    layers: Record<string, string[]>;
  }>('/explain/graph');
  const conv2 = graph.nodes.find(({ outputs }) => outputs[0] === 'conv2.conv')!;
  assert.deepEqual([conv2.attributes.group, conv2.attributes.pads], [2, [1, 1, 1, 1]]);
  assert.deepEqual(conv2.shape, ['10*N', 12, 3, 3]);
  assert.deepEqual(graph.initializers.find(({ name }) => name === conv2.inputs[1])!.dims, [12, 4, 3, 3]);
  assert.deepEqual(graph.layers.conv2, ['conv2.conv', 'conv2']);
});

test('says at once what the model knows', async () => {
  const known = await get('/explain/labels');
  assert.deepEqual(known, { model: { name: 'small', version: '1' }, image_px: IMAGE_PX, labels: LABELS });
});

test('counts for charts what it answered', async () => {
  type Stats = {
    models: { answered: number; inference_us: number; views: { process: string; waiting: number } }[];
    latency: { count: number; buckets: { le: number | null; count: number }[] };
  };
  const before = await get<Stats>('/explain/stats');
  await post(url, image);
  const later = await get<Stats>('/explain/stats');
  assert.equal(later.models[0].answered - before.models[0].answered, 1);
  assert.ok(later.models[0].inference_us > before.models[0].inference_us);
  assert.deepEqual(later.models[0].views, { process: 'up', running: null, waiting: 0 });
  assert.equal(later.latency.buckets.at(-1)!.le, null);
  assert.equal(later.latency.buckets.at(-1)!.count, later.latency.count);
});
