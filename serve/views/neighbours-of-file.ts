/** `alexnet neighbours`: the nearest images of an index to an image file, as numbers and as a drawing. */
import { drawNeighbours } from './draw/draw-neighbours.js';
import { requireDrawingPlace, writeScene } from './draw/scene.js';
import type { ViewOptions } from './process/messages.js';
import { bytesOf, imageOf, jsonOf, withViewer } from './with-viewer.js';

export interface NeighboursReport {
  image: string;
  out?: string;
  layer: string;
  dimension: number;
  metric: string;
  method: 'exact' | 'hnsw';
  indexed: number;
  data: string;
  neighbours: { name: string; label: string; distance: number }[];
}

type Answer = Omit<NeighboursReport, 'image' | 'out' | 'neighbours'> & {
  neighbours: { name: string; label: string; distance: number; thumbnail?: string }[];
};

/** @throws {UserError} if the model, the index or the image cannot be used */
export async function neighboursOfFile(
  options: ViewOptions,
  image: string,
  k: number,
  out?: string,
): Promise<NeighboursReport> {
  if (out !== undefined) await requireDrawingPlace(out);
  return withViewer(options, async (ask) => {
    const bytes = await imageOf(image);
    const answer = await jsonOf<Answer>(ask({ view: 'neighbours', bytes, k }));
    if (out !== undefined) {
      const drawn = answer.neighbours.map(({ thumbnail, ...told }) => ({ ...told, thumbnail: jpegOf(thumbnail) }));
      const scene = drawNeighbours(await bytesOf(ask({ view: 'picture', bytes })), drawn);
      const rows = answer.neighbours.map(({ name, label, distance }) => [name, label, String(distance)]);
      const title = `${image}: nearest of ${answer.indexed} images in ${answer.layer}`;
      await writeScene(out, scene, title, [['image', 'label', 'distance'], ...rows]);
    }
    const neighbours = answer.neighbours.map(({ name, label, distance }) => ({ name, label, distance }));
    return { image, out, ...answer, neighbours };
  });
}

function jpegOf(url: string | undefined): Buffer | undefined {
  return url === undefined ? undefined : Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}
