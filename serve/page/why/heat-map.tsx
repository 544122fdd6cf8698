/** The probabilities of an occlusion experiment over the crop, each where the middle of its patch was. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Cutting } from '../classify/crop-tiles.js';
import { finePercent, significant, words } from '../parts/numbers.js';
import { Window } from '../parts/window.js';
import type { Subject } from '../subject.js';
import type { Covered } from './cover.js';

/** Falls, rises: RGB. */
const FALLS = '255 122 42';
const RISES = '64 156 255';
const STRONGEST = 0.85;
/** Of probability: changes as large as this are seen at full strength, if none is larger; those below a point fade. */
const [FULL, POINT] = [0.1, 0.01];

interface HeatMapProps {
  covered: Covered;
  /** More is to come: the place that is covered just now is shown. */
  working: boolean;
  subject: Subject;
}

export function HeatMap({ covered, working, subject: { source, shape } }: HeatMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [under, setUnder] = useState<number>();
  const { start, probabilities } = covered;
  const { crop } = start;
  const [tops, lefts] = [edges(start.y, start.patch, crop.size), edges(start.x, start.patch, crop.size)];
  const changes = probabilities.map((probability) => start.probability - probability);
  const [fall, rise] = [Math.max(...changes, 0), Math.max(...changes.map((change) => -change), 0)];
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    context.clearRect(0, 0, crop.size, crop.size);
    for (const [i, change] of changes.entries()) {
      const [row, column] = [Math.floor(i / start.columns), i % start.columns];
      const size = Math.abs(change);
      const opacity = (STRONGEST * size * Math.min(1, size / POINT)) / Math.max(fall, rise, FULL);
      context.fillStyle = `rgb(${change > 0 ? FALLS : RISES} / ${opacity})`;
      const [x, y] = [lefts[column], tops[row]];
      context.fillRect(x, y, lefts[column + 1] - x, tops[row + 1] - y);
    }
  }, [covered]);
  const point = ({ offsetX, offsetY }: MouseEvent) => {
    const { clientWidth, clientHeight } = canvas.current!;
    const column = lefts.findLastIndex((left) => left <= (offsetX / clientWidth) * crop.size);
    const row = tops.findLastIndex((top) => top <= (offsetY / clientHeight) * crop.size);
    setUnder(Math.min(row, start.rows - 1) * start.columns + Math.min(column, start.columns - 1));
  };
  const there = under === undefined ? undefined : probabilities[under];
  return (
    <figure class="heat">
      <div class="square">
        {shape && <Cutting crop={crop} shape={shape} source={source} />}
        <canvas
          ref={canvas}
          width={crop.size}
          height={crop.size}
          role="img"
          aria-label={`Probability of ${words(start.class.label)} by the place that is covered; a table follows`}
          onMouseMove={point}
          onMouseLeave={() => setUnder(undefined)}
        />
        {working && <Patch covered={covered} />}
      </div>
      <figcaption>
        <Key name="falls" /> falls by {points(fall)} <Key name="rises" /> rises by {points(rise)}
        <br />
        Patch of {start.patch} pixels, moved by {start.stride}.{' '}
        {there !== undefined && `Covered here: ${finePercent(there)}; uncovered: ${finePercent(start.probability)}.`}
      </figcaption>
    </figure>
  );
}

/** In the map's place until there is one. */
export function Uncovered({ subject: { source, shape, crop } }: { subject: Subject }) {
  if (!shape || !crop) return null;
  return (
    <figure class="heat">
      <Cutting crop={crop} shape={shape} source={source} />
      <figcaption>What the network sees. Nothing has been covered yet.</figcaption>
    </figure>
  );
}

/** The patch, where it is now. */
function Patch({ covered: { start, done } }: { covered: Covered }) {
  const at = Math.min(done, start.total - 1);
  const { size: width, height = width } = start.crop;
  return (
    <Window
      class="patch"
      top={start.y[Math.floor(at / start.columns)]}
      left={start.x[at % start.columns]}
      height={start.patch}
      width={start.patch}
      on={{ height, width }}
    />
  );
}

function points(change: number): string {
  return change < POINT / 10 ? 'less than 0.1 points' : `up to ${significant(100 * change)} points`;
}

function Key({ name }: { name: string }) {
  return <span class={`key ${name}`} aria-hidden="true" />;
}

/**
 * Where one place's cell ends and the next begins: halfway between the middles of their patches; the outer ones reach
 * the edge.
 */
function edges(firsts: readonly number[], patch: number, size: number): number[] {
  const middles = firsts.map((first) => first + patch / 2);
  const between = middles.slice(1).map((middle, i) => (middle + middles[i]) / 2);
  return [0, ...between, size];
}
