/** A window, a kernel or products as a grid of cells; the numbers stand in them where they fit. */
import { useEffect, useRef } from 'preact/hooks';
import { significant } from '../parts/numbers.js';
import type { Kernel, Pixels } from './convolve.js';

const SIDE_PX = 280;
/** Sides of grids whose cells hold a number. */
const MOST_NUMBERS = 5;

interface TileProps {
  label: string;
  size: [height: number, width: number];
  /** Of each cell, row by row. */
  colours?: string[];
  /** In place of colours: orange for less than 0, blue for more. */
  values?: Float32Array;
  /** What is done with it. */
  sign: string;
}

export function Tile({ label, size: [height, width], colours, values, sign }: TileProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const [cellX, cellY] = [SIDE_PX / width, SIDE_PX / height];
    const largest = values?.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9) ?? 1;
    context.clearRect(0, 0, SIDE_PX, SIDE_PX);
    for (let i = 0; i < height * width; i++) {
      const [x, y] = [(i % width) * cellX, Math.floor(i / width) * cellY];
      context.fillStyle = colours?.[i] ?? signed(values![i] / largest);
      context.fillRect(x, y, cellX - 1, cellY - 1);
      if (!values || width > MOST_NUMBERS) continue;
      context.fillStyle = '#000';
      context.font = `${cellX / 4}px sans-serif`;
      context.textAlign = 'center';
      context.fillText(significant(Number(values[i].toPrecision(2))), x + cellX / 2, y + cellY / 1.8);
    }
  });
  return (
    <figure>
      <div class="cells">
        <canvas ref={canvas} width={SIDE_PX} height={SIDE_PX} role="img" aria-label={label} />
        <span aria-hidden="true">{sign}</span>
      </div>
      <figcaption>{label}</figcaption>
    </figure>
  );
}

function signed(share: number): string {
  const fade = Math.round(255 * (1 - 0.7 * Math.abs(share)));
  return share < 0 ? `rgb(255 ${fade} ${Math.round(fade * 0.8)})` : `rgb(${fade} ${Math.round(fade * 0.5 + 127)} 255)`;
}

export function windowColours(pixels: Pixels, { height, width }: Kernel, top: number, left: number): string[] {
  return Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [top + Math.floor(i / width), left + (i % width)];
    if (y < 0 || x < 0 || y >= pixels.height || x >= pixels.width) return '#888';
    const at = 4 * (y * pixels.width + x);
    return `rgb(${pixels.data[at]} ${pixels.data[at + 1]} ${pixels.data[at + 2]})`;
  });
}

/** Over its own range. */
export function kernelColours({ values, height, width }: Kernel): string[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const level = (value: number) => Math.round((255 * (value - low)) / (high - low || 1));
  const plane = height * width;
  return Array.from({ length: plane }, (_, i) => {
    const [red, green, blue] = [0, 1, 2].map((c) => level(values[c * plane + i]));
    return `rgb(${red} ${green} ${blue})`;
  });
}
