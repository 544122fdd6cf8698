/** `alexnet occlude`: the occlusion map of an image file, as numbers and as a drawing. */
import { UsageError } from '../../base/errors.js';
import { drawOcclusion } from './draw/draw-occlusion.js';
import { requireDrawingPlace, writeScene } from './draw/scene.js';
import type { OcclusionEnd, OcclusionOptions, OcclusionPart, OcclusionStart } from './engine/occlusion.js';
import type { ViewOptions } from './process/messages.js';
import { bytesOf, imageOf, withViewer } from './with-viewer.js';

export interface OcclusionReport extends Omit<OcclusionStart, 'type'> {
  image: string;
  out?: string;
  /** Of the class, row by row, with the patch there. */
  probabilities: number[];
  /** The most probable class then. */
  tops: number[];
  lowest: OcclusionEnd['lowest'];
  inference_ms: number;
}

interface OccludeRequest extends Omit<OcclusionOptions, 'class'> {
  /** Number or label. */
  class?: string;
  crop?: number;
  out?: string;
  onProgress(done: number, total: number): void;
}

/** @throws {UserError} if the model or the image cannot be used, or a number is out of range */
export async function occludeFile(
  options: ViewOptions,
  image: string,
  { class: wanted, crop, out, onProgress, ...sizes }: OccludeRequest,
): Promise<OcclusionReport> {
  if (out !== undefined) await requireDrawingPlace(out);
  return withViewer(options, async (ask, { network }) => {
    const bytes = await imageOf(image);
    const request = { view: 'occlusion', bytes, crop, class: classOf(wanted, network.model.labels), ...sizes } as const;
    let start: OcclusionStart | undefined;
    const probabilities: number[] = [];
    const tops: number[] = [];
    for await (const part of ask(request)) {
      const json = 'json' in part ? (part.json as OcclusionPart) : undefined;
      if (json?.type === 'start') start = json;
      if (json?.type === 'progress') {
        probabilities.push(...json.probabilities);
        tops.push(...json.tops);
        onProgress(json.done, json.total);
      }
      if (json?.type !== 'end') continue;
      const { type: _, ...told } = start!;
      if (out !== undefined) {
        const shown = await bytesOf(ask({ view: 'picture', bytes, crop: crop ?? network.centre }));
        await writeScene(
          out,
          drawOcclusion(start!, shown, probabilities),
          `${image}: ${told.class.label}`,
          tableOf(told, probabilities),
        );
      }
      const { lowest, inference_ms } = json;
      return { image, out, ...told, probabilities, tops, lowest, inference_ms };
    }
    throw new Error('the map has no end');
  });
}

/** @throws {UsageError} */
function classOf(wanted: string | undefined, labels: readonly string[]): number | undefined {
  if (wanted === undefined) return undefined;
  const found = /^\d+$/.test(wanted) ? Number(wanted) : labels.indexOf(wanted);
  if (found >= 0 && found < labels.length) return found;
  throw new UsageError(`--class: expected a label or a number from 0 to ${labels.length - 1}, got "${wanted}"`);
}

/** Probabilities by place. */
function tableOf({ x, y, columns }: Omit<OcclusionStart, 'type'>, probabilities: readonly number[]): string[][] {
  const percent = (value: number) => (100 * value).toFixed(1);
  const rows = y.map((top, row) => [
    `y ${top}`,
    ...probabilities.slice(row * columns, (row + 1) * columns).map(percent),
  ]);
  return [['%', ...x.map((left) => `x ${left}`)], ...rows];
}
