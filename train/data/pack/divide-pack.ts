/** Holds out images of a prepared set that has none for val or test, as `layout/hold-out.ts` does for other sources. */
import type { Dataset, OpenOptions } from '../dataset.js';
import { describeDivision, divide, TRAINED_ON, unusedRequest } from '../layout/hold-out.js';
import type { PackRecord } from './pack-format.js';

/** The images of a split, by their places in the shards. */
export interface SplitTable {
  places: Uint32Array;
  labels: Uint16Array;
}

export interface DividedPack extends Pick<Dataset, 'notes' | 'holdOut' | 'divided'> {
  tables: Record<string, SplitTable>;
}

/**
 * @param tables    of the splits in the pack
 * @param hashAt    of the pixels in a place
 * @param request   see `OpenOptions`
 */
export function dividePack(
  folder: string,
  tables: Record<string, SplitTable>,
  { notes, holdOut, divided }: PackRecord,
  hashAt: (place: number) => string,
  request: OpenOptions['holdOut'],
): DividedPack {
  const { train, val = tables.test } = tables;
  if (val !== undefined || train === undefined) {
    const unused = request?.fraction === holdOut?.fraction ? undefined : unusedRequest(request);
    return { tables, notes: [...notes, ...(unused === undefined ? [] : [unused])], holdOut, divided };
  }
  const images = Array.from(train.places, (place, i) => ({ className: train.labels[i], hash: hashAt(place) }));
  const { sides, division } = divide(images, request);
  if (division.heldOut === 0) return { tables, notes: [...notes], holdOut: division.holdOut };
  const part = (wanted: string): SplitTable => ({
    places: train.places.filter((_, i) => sides[i] === wanted),
    labels: train.labels.filter((_, i) => sides[i] === wanted),
  });
  return {
    tables: { train: part('train'), val: part('val') },
    notes: notes.filter((note) => note !== TRAINED_ON),
    holdOut: division.holdOut,
    divided: describeDivision(folder, division),
  };
}
