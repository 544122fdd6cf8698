import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { type LinePlot, linePlot } from '../../../train/plot/line-plot.js';

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

/** The unbroken pieces of the line of a colour, each in pixels: x0, y0, x1, … */
function piecesOf(svg: string, colour: string): number[][] {
  const paths = [...svg.matchAll(/<path d="(M[^"]*)"[^>]*stroke="(#[0-9a-f]{6})" stroke-width="2"[^>]*>/g)];
  const [, d] = paths.find(([tag, , stroke]) => stroke === colour && !tag.includes('transform'))!;
  return [...d.matchAll(/M[^M]*/g)].map(([piece]) => piece.match(/[\d.]+/g)!.map(Number));
}

/** Pixel of the tick labelled so, on the x axis (0) or the y axis (1). */
function tickOf(svg: string, label: string, axis: 0 | 1): number {
  const anchor = axis === 0 ? 'middle' : 'end';
  const pattern = new RegExp(`text-anchor="${anchor}"[^>]*translate\\(([\\d.]+) ([\\d.]+)\\)[^>]*>${label}</text>`);
  return Number(svg.match(pattern)![1 + axis]);
}

test('puts every point where the numbers on the axes say', () => {
  const svg = linePlot(PLOT);
  const [[x0, y0, x1, y1, x2, y2]] = piecesOf(svg, '#0072b2');
  const expected = [
    [x0, tickOf(svg, '1', 0)],
    [x1, tickOf(svg, '2', 0)],
    [x2, tickOf(svg, '5', 0)],
    [y0, (tickOf(svg, '0', 1) + tickOf(svg, '1', 1)) / 2],
    [y1, 0.75 * tickOf(svg, '0', 1) + 0.25 * tickOf(svg, '1', 1)],
    [y2, tickOf(svg, '0', 1)],
  ];
  for (const [actual, wanted] of expected) assert.ok(Math.abs(actual - wanted) < 0.6, `${actual} for ${wanted}`); // half a pixel
});

test('places by powers of ten on logarithmic axes, and leaves a gap where there is no logarithm', () => {
  const points = [
    [1, 0.01],
    [10, 0.1],
    [100, 0],
    [1000, 1],
  ] as const;
  const svg = linePlot({ ...PLOT, xLog: true, yLog: true, yMin: 0.01, series: [{ name: 'a', points }] });
  const [[x0, y0, x1, y1], afterGap, ...more] = piecesOf(svg, '#0072b2');
  assert.ok(Math.abs(x1 - tickOf(svg, '10', 0)) < 0.6);
  assert.ok(Math.abs(y1 - tickOf(svg, '0.1', 1)) < 0.6);
  assert.ok(x0 < x1 && y0 > y1);
  assert.equal(afterGap.length, 2, 'the point after the gap is joined to nothing');
  assert.equal(more.length, 0);
});

test('is one document of its own: no script, style, link or entity to load, and the same bytes each time', () => {
  const svg = linePlot(PLOT);
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /http|<script|<style|<image|href|@import|ecmeta/);
  assert.equal(linePlot(PLOT), svg);
});

test('shows markup in names as text, and says in words what it shows', async () => {
  const svg = linePlot({
    ...PLOT,
    title: '</svg><script>x</script> & "q"\u0001',
    levels: [{ y: 0.18, label: '<paper>' }],
  });
  assert.doesNotMatch(svg, /<script|<paper/);
  assert.match(svg, /&lt;script&gt;.*val: 0\.5 at 1, 0 at 5; &lt;paper&gt;: 0\.18\."/);
  const { width, height } = await sharp(Buffer.from(svg)).metadata(); // parses as XML
  assert.deepEqual([width, height], [640, 380]);
});

test('keeps a reference level below all points inside the plot', () => {
  const { yMin, yMax, ...free } = PLOT;
  const svg = linePlot({ ...free, levels: [{ y: -3, label: 'floor' }] });
  const y = Number(svg.match(/translate\([\d.]+ ([\d.]+)\)[^>]*>floor</)![1]);
  assert.ok(y > 100 && y < 380, `label at ${y}`);
  assert.ok(Math.abs(y - tickOf(svg, '-3', 1)) < 20);
});

test('draws each line in its own colour and mark, a dashed one dashed', () => {
  const points = [
    [0, 0],
    [1, 1],
  ] as const;
  const svg = linePlot({
    ...PLOT,
    series: [
      { name: 'train', points, dashed: true },
      { name: 'val', points },
    ],
  });
  const line = (colour: string) =>
    svg.match(new RegExp(`<path d="M[^"]*L[^"]*" fill="none"[^>]*stroke="${colour}"[^>]*>`))![0];
  assert.match(line('#0072b2'), /stroke-dasharray/);
  assert.doesNotMatch(line('#d55e00'), /stroke-dasharray/);
  const marks = (colour: string) => svg.match(new RegExp(`<path d="([^"]*)"[^>]*fill="${colour}"`))![1];
  assert.notEqual(marks('#0072b2'), marks('#d55e00'));
});

test('draws thousands of points without writing thousands', () => {
  const points = Array.from({ length: 50_000 }, (_, i) => [i, Math.sin(i)] as const);
  const svg = linePlot({ ...PLOT, yMin: -1, series: [{ name: 'loss', points }] });
  assert.ok(svg.length < 60_000, `${svg.length} bytes`);
  assert.ok(piecesOf(svg, '#0072b2')[0].length > 400);
});
