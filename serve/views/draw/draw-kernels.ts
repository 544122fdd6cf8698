/**
 * Kernels as tiles, sixteen a row as in Figure 3 of the paper, groups apart. Each is scaled by itself: grey is 0, black
 * and white its largest value.
 */
import { kernelColours } from '../../../base/kernel-colours.js';
import type { KernelsView } from '../engine/kernels.js';
import type { Pixels, Scene } from './scene.js';

const COLUMNS = 16;
const GAP = 2;
/** Between groups, with room for a heading. */
const GROUP_GAP = 28;
/** Side that a kernel's tile has at least, pixels. */
const SMALLEST_TILE = 32;

/** Where the tiles are in the drawing. */
export interface TileLayout {
  layer: string;
  count: number;
  groups: number;
  columns: number;
  /** Side of a tile, and from one to the next. */
  tile_px: number;
  step_px: number;
  /** First pixel of each group, from the top. */
  group_top: number[];
}

export function drawKernels({ layer, groups, kernels }: KernelsView): { scene: Scene; layout: TileLayout } {
  const [count, , height, width] = kernels.shape;
  const inGroup = count / groups;
  const columns = Math.min(COLUMNS, inGroup);
  const tile = width * Math.max(1, Math.ceil(SMALLEST_TILE / width));
  const step = tile + GAP;
  const groupHeight = Math.ceil(inGroup / columns) * step;
  const tops = Array.from({ length: groups }, (_, group) => (group + 1) * GROUP_GAP + group * groupHeight);
  const images = Array.from({ length: count }, (_, i) => {
    const place = i % inGroup;
    return {
      x: GAP + (place % columns) * step,
      y: tops[Math.floor(i / inGroup)] + Math.floor(place / columns) * step,
      width: tile,
      height: Math.round((tile * height) / width),
      image: pixelsOf(kernels.data.subarray(i * 3 * height * width, (i + 1) * 3 * height * width), width, height),
      title: `${layer}, kernel ${i}`,
    };
  });
  const heading = (group: number) =>
    groups === 1
      ? `${layer}: ${count} kernels`
      : `${layer}: kernels ${group * inGroup} to ${(group + 1) * inGroup - 1}, group ${group + 1}`;
  return {
    scene: {
      width: 2 * GAP + columns * step,
      height: groups * (GROUP_GAP + groupHeight) + GAP,
      images,
      texts: tops.map((top, group) => ({ x: GAP, y: top - 8, text: heading(group), bold: true })),
    },
    layout: { layer, count, groups, columns, tile_px: tile, step_px: step, group_top: tops },
  };
}

/** [3, height, width] of any range → RGB */
function pixelsOf(kernel: Float32Array, width: number, height: number): Pixels {
  const colours = kernelColours(kernel);
  const plane = width * height;
  const data = new Uint8Array(3 * plane);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) data[3 * i + c] = colours[c * plane + i];
  }
  return { data, width, height, channels: 3 };
}
