/**
 * The maps of a layer side by side. A click chooses one; the number field next to it does the same from the keyboard.
 */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { significant } from '../parts/numbers.js';
import { Window } from '../parts/window.js';
import { drawSheet, rangeOf, type Sheet, sheetOf, tileAt } from './maps.js';

interface TileSheetProps {
  label: string;
  maps: Float32Array[];
  /** Height and width of a map. */
  size: number[];
  /** Each map is drawn by its own range, not by that of all. */
  own: boolean;
  chosen: number;
  choose(index: number): void;
}

/** Width of a map on the page, where there are few. */
const LARGEST_PX = 200;
/** Width to height of a sheet of square maps. */
const PROPORTION = 1.5;

export function TileSheet({ label, maps, size, own, chosen, choose }: TileSheetProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const sheet = useMemo(() => {
    const columns = Math.ceil(Math.sqrt((PROPORTION * maps.length * size[0]) / size[1]));
    return sheetOf(maps.length, size, Math.min(columns, maps.length));
  }, [maps, size[0], size[1]]);
  const ranges = useMemo(() => maps.map(rangeOf), [maps]);
  const all = useMemo(
    () => ({ low: Math.min(...ranges.map(({ low }) => low)), high: Math.max(...ranges.map(({ high }) => high)) }),
    [ranges],
  );
  useEffect(() => {
    drawSheet(canvas.current!, maps, size, own ? ranges : maps.map(() => all), sheet);
  }, [maps, own, sheet]);
  const pick = ({ offsetX, offsetY }: MouseEvent) => {
    const { clientWidth, clientHeight } = canvas.current!;
    const index = tileAt(sheet, offsetX / clientWidth, offsetY / clientHeight);
    if (index < maps.length) choose(index);
  };
  return (
    <figure>
      <div class="sheet" style={{ maxWidth: `${sheet.columns * LARGEST_PX}px` }}>
        <canvas ref={canvas} role="img" aria-label={`${label}; a table of them follows`} onClick={pick} />
        <Frame sheet={sheet} index={chosen} size={size} />
      </div>
      <figcaption>
        {label}. <Scale low={own ? undefined : all.low} high={own ? undefined : all.high} />
      </figcaption>
    </figure>
  );
}

/** Around the chosen tile. */
export function Frame({ sheet, index, size }: { sheet: Sheet; index: number; size: readonly number[] }) {
  return (
    <Window
      class="frame"
      top={Math.floor(index / sheet.columns) * sheet.stepY}
      left={(index % sheet.columns) * sheet.stepX}
      height={size[0]}
      width={size[1]}
      on={sheet}
    />
  );
}

/** What black and pale yellow stand for. */
export function Scale({ low, high }: { low?: number; high?: number }) {
  return (
    <span class="scale">
      {low === undefined ? 'least' : significant(low)} <span class="ramp" aria-hidden="true" />{' '}
      {high === undefined ? 'largest' : significant(high)}
    </span>
  );
}
