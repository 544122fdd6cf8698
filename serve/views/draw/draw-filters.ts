/** `alexnet filters`: kernels as a drawing. */

import { kernelsOf } from '../engine/kernels.js';
import type { ViewOptions } from '../process/messages.js';
import { withViewer } from '../with-viewer.js';
import { drawKernels, type TileLayout } from './draw-kernels.js';
import { requireDrawingPlace, writeScene } from './scene.js';

/** @throws {UserError} if the model has no kernels that can be seen as colours */
export async function drawFilters(
  options: ViewOptions,
  out: string,
  layer?: string,
): Promise<{ out: string } & TileLayout> {
  await requireDrawingPlace(out);
  return withViewer(options, async (_ask, { network }) => {
    const view = await kernelsOf(network, layer);
    const { scene, layout } = drawKernels(view);
    const [, , height, width] = view.kernels.shape;
    const rows = [
      ['layer', 'kernels', 'size', 'groups'],
      [layout.layer, String(layout.count), `${width}×${height}×3`, String(layout.groups)],
    ];
    await writeScene(out, scene, `${network.file.name}: kernels of ${layout.layer}`, rows);
    return { out, ...layout };
  });
}
