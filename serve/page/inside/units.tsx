/** A fully connected layer: as many numbers as it has units, the largest by name. */
import { useEffect, useMemo } from 'preact/hooks';
import { count, significant, words } from '../parts/numbers.js';
import type { Layer } from '../server/answers.js';
import { pixelsOf, rangeOf } from './maps.js';
import { Scale } from './tile-sheet.js';
import { usePixels } from './use-pixels.js';

const LISTED = 10;
/** Side of a unit on the page, where there are few. */
const LARGEST_PX = 24;

function largestOf(values: Float32Array): { unit: number; value: number }[] {
  return Array.from(values, (value, unit) => ({ unit, value }))
    .sort((a, b) => b.value - a.value)
    .slice(0, LISTED);
}

interface UnitsProps {
  layer: Layer;
  values: Float32Array;
  /** Of the units, if each is a class. */
  labels?: string[];
  channel: number | undefined;
  setChannel(unit: number): void;
}

export function Units({ layer, values, labels, channel: chosen, setChannel: choose }: UnitsProps) {
  const range = useMemo(() => rangeOf(values), [values]);
  const width = Math.ceil(Math.sqrt(2 * values.length));
  const canvas = usePixels(() => {
    const height = Math.ceil(values.length / width);
    const padded = new Float32Array(width * height).fill(range.low);
    padded.set(values);
    return pixelsOf(padded, [height, width], range);
  }, [values]);
  const largest = useMemo(() => largestOf(values), [values]);
  const [{ unit: first }] = largest;
  useEffect(() => {
    if (chosen === undefined) choose(first); // the views below are of it too
  }, [chosen, first]);
  return (
    <>
      <figure>
        <div class="sheet" style={{ maxWidth: `${width * LARGEST_PX}px` }}>
          <canvas
            ref={canvas}
            role="img"
            aria-label={`${layer.name}: ${values.length} units; the largest are listed below`}
          />
        </div>
        <figcaption>
          {layer.name}: {count(values.length)} units, row by row from the first. <Scale {...range} />
        </figcaption>
      </figure>
      <table class="narrow">
        <caption>The largest</caption>
        <thead>
          <tr>
            <th class="right">Unit</th>
            <th class="right">Value</th>
            {labels && <th>Class</th>}
          </tr>
        </thead>
        <tbody>
          {largest.map(({ unit, value }) => (
            <tr key={unit}>
              <th scope="row" class="right">
                <button type="button" class="link" aria-pressed={unit === chosen} onClick={() => choose(unit)}>
                  {unit}
                </button>
              </th>
              <td class="right">{significant(value)}</td>
              {labels && <td>{words(labels[unit] ?? '')}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
