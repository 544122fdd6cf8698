import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { type LinePlot, linePlot } from '../../../train/plot/line-plot.js';
import { axisOf, linesOf } from './read-plot.js';

const BLUE = '#0072b2';
const PLOT: LinePlot = {
  title: 'Error',
  xLabel: 'epoch',
  yLabel: 'top-1 error',
  yMin: 0,
  yMax: 1,
  series: [
    {
      name: 'val',
      points: [
        [1, 0.5],
        [2, 0.25],
        [5, 0],
      ],
    },
  ],
};

function assertNear(actual: [number, number], expected: readonly [number, number], tolerance: [number, number]): void {
  const isNear = actual.every((value, i) => Math.abs(value - expected[i]) <= tolerance[i]);
  assert.ok(isNear, `expected ${expected}, got ${actual}, tolerance ${tolerance}`);
}

test('puts every point where the numbers on the axes say', () => {
  const svg = linePlot(PLOT);
  const [line] = linesOf(svg, BLUE);
  assert.equal(line.length, 3);
  const halfPixel: [number, number] = [axisOf(svg, 0).perPixel / 2, axisOf(svg, 1).perPixel / 2];
  for (const [i, point] of PLOT.series[0].points.entries()) assertNear(line[i], point, halfPixel);
});

test('places by powers of ten on logarithmic axes', () => {
  const points = [
    [1, 0.02],
    [30, 0.1],
    [1000, 0.7],
  ] as const;
  const svg = linePlot({ ...PLOT, xLog: true, yLog: true, yMin: 0.01, series: [{ name: 'a', points }] });
  const [line] = linesOf(svg, BLUE, { x: true, y: true });
  assert.equal(line.length, 3);
  // a pixel is about 1.2 %
  for (const [i, [x, y]] of points.entries()) assertNear(line[i], [x, y], [0.01 * x, 0.01 * y]);
});

test('leaves a gap where a point has no place', () => {
  const gaps = (yLog: boolean, ...ys: number[]) => {
    const { yMin, yMax, ...free } = PLOT;
    const svg = linePlot({ ...free, yLog, series: [{ name: 'a', points: ys.map((y, i) => [i + 1, y] as const) }] });
    return linesOf(svg, BLUE).map((piece) => piece.map(([x]) => Math.round(x)));
  };
  assert.deepEqual(gaps(false, 1, 3, Number.NaN, 2, Number.POSITIVE_INFINITY, 5, 0), [[1, 2], [4], [6, 7]]);
  assert.deepEqual(gaps(true, 1, 3, 0, 2, -7, 5), [[1, 2], [4], [6]]);
});

test('is one document of its own: no script, style, link or entity to load, and the same bytes each time', () => {
  const svg = linePlot(PLOT);
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /http|<script|<style|<image|href|@import|ecmeta/);
  assert.equal(linePlot(PLOT), svg);
});

test('shows markup in names as text, and says in words what it shows', async () => {
  const title = '</svg><script>x</script> & "q" $& $1\u0001';
  const svg = linePlot({ ...PLOT, title, levels: [{ y: 0.18, label: '<paper>' }] });
  assert.doesNotMatch(svg, /<script|<paper/);
  assert.match(
    svg,
    /&lt;script&gt;x&lt;\/script&gt; &amp; &quot;q&quot; \$&amp; \$1.*val: 0\.5 at 1, 0 at 5; &lt;paper&gt;: 0\.18\."/,
  );
  const { width, height } = await sharp(Buffer.from(svg)).metadata(); // parses as XML
  assert.deepEqual([width, height], [640, 380]);
});

test('keeps a reference level below all points inside the plot', () => {
  const { yMin, yMax, ...free } = PLOT;
  const svg = linePlot({ ...free, levels: [{ y: -3, label: 'floor' }] });
  const label = Number(svg.match(/translate\([\d.]+ ([\d.]+)\)[^>]*>floor</)![1]);
  const { at, perPixel } = axisOf(svg, 1);
  assert.ok(Math.abs(at(label) + 3) < 20 * perPixel, `the label stands at ${at(label)}, expected just above -3`);
});

test('draws each line in its own colour and mark, a dashed one dashed, a faint one grey without marks', () => {
  const points = [
    [0, 0],
    [1, 1],
  ] as const;
  const svg = linePlot({
    ...PLOT,
    series: [
      { name: 'train', points, dashed: true },
      { name: 'val', points },
      { name: 'batches', points, faint: true },
    ],
  });
  const lines = [...svg.matchAll(/<path d="M[^"]*"[^>]*stroke="(#[0-9a-f]{6})"[^>]*stroke-linejoin="bevel"[^>]*>/g)];
  const line = (colour: string) => lines.find(([, stroke]) => stroke === colour)![0];
  assert.match(line(BLUE), /stroke-dasharray/);
  assert.doesNotMatch(line('#d55e00'), /stroke-dasharray/);
  assert.match(line('#57606a'), /stroke-opacity="0.5"/);
  const marks = [...svg.matchAll(/<path d="([^"]*)" transform="matrix[^"]*" fill="(#[0-9a-f]{6})"/g)];
  const shape = (colour: string) => marks.find(([, , fill]) => fill === colour)?.[1];
  assert.notEqual(shape(BLUE), undefined);
  assert.notEqual(shape(BLUE), shape('#d55e00'));
  assert.equal(shape('#57606a'), undefined);
});

test('draws thousands of points without writing thousands', () => {
  const points = Array.from({ length: 50_000 }, (_, i) => [i, Math.sin(i)] as const);
  const svg = linePlot({ ...PLOT, yMin: -1, series: [{ name: 'loss', points }] });
  assert.ok(svg.length < 60_000, `${svg.length} bytes`);
  assert.ok(linesOf(svg, BLUE)[0].length > 200);
});
