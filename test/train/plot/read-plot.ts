/** Reads lines back from a plot, in the numbers of its axes: an eye with a ruler. */

/** The points of the line of this colour, a piece after every gap. Axes are linear unless `log` says otherwise. */
export function linesOf(svg: string, colour: string, log: { x?: boolean; y?: boolean } = {}): [number, number][][] {
  const paths = [...svg.matchAll(/<path d="(M[^"]*)"[^>]*stroke="(#[0-9a-f]{6})" stroke-width="2"[^>]*>/g)];
  const [, d] = paths.find(([tag, , stroke]) => stroke === colour && !tag.includes('transform'))!;
  const [x, y] = [axisOf(svg, 0, log.x), axisOf(svg, 1, log.y)];
  return [...d.matchAll(/M[^M]*/g)].map(([piece]) => {
    const pixels = piece.match(/-?[\d.]+/g)!.map(Number);
    return Array.from({ length: pixels.length / 2 }, (_, i) => [x.at(pixels[2 * i]), y.at(pixels[2 * i + 1])]);
  });
}

/** The axis as its labels tell: the number at a pixel, and how much a pixel is worth on a linear one. */
export function axisOf(svg: string, axis: 0 | 1, isLog = false) {
  const anchor = axis === 0 ? 'middle' : 'end';
  const pattern = new RegExp(
    `text-anchor="${anchor}"[^>]*translate\\(([\\d.]+) ([\\d.]+)\\)[^>]*>(-?[\\d.,]+)</text>`,
    'g',
  );
  const ticks = [...svg.matchAll(pattern)].map((match) => ({
    pixel: Number(match[1 + axis]),
    value: Number(match[3].replaceAll(',', '')),
  }));
  const scale = isLog ? Math.log10 : (value: number) => value;
  const [first, last] = [ticks[0], ticks.at(-1)!];
  const perPixel = (scale(last.value) - scale(first.value)) / (last.pixel - first.pixel);
  const at = (pixel: number) => {
    const value = scale(first.value) + perPixel * (pixel - first.pixel);
    return isLog ? 10 ** value : value;
  };
  return { at, perPixel: Math.abs(perPixel) };
}
