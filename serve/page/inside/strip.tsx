/**
 * The network to scale, in the spirit of the paper's Figure 2: sides of a block are those of its maps, its thickness is
 * their number. A click on a block chooses it for all views.
 */
import { count, shape } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { Layer, Layers } from '../server/answers.js';
import { type Kind, kindOf, operation } from './kind.js';

/** Of the largest side, and of the most maps. */
const [SIDE_PX, THICK_PX] = [92, 40];
/** Of what would be too thin to be seen. */
const LEAST_PX = 3;
/** How far the far side of a block lies to the right and up, as a share of its side. */
const DEPTH = 0.3;
const HEIGHT_PX = SIDE_PX * (1 + DEPTH);

const LEGEND: Partial<Record<Kind, string>> = { connected: 'fully connected', local: 'locally connected' };

interface StripProps {
  layers: Layers;
  chosen: string | undefined;
  choose(name: string): void;
}

export function Strip({ layers, chosen, choose }: StripProps) {
  const { input } = layers;
  const shown = layers.layers.filter(({ views }) => views.includes('activations'));
  const scale = scaleOf([input.shape, ...shown.map(({ output }) => output)]);
  const kinds = [...new Set(shown.map(kindOf))];
  return (
    <>
      <Scroll label="Architecture">
        <ol class="strip">
          <li>
            <Block {...scale(input.shape)} kind="input" />
            <Name name="image" lengths={input.shape} />
          </li>
          {shown.map((layer) => (
            <li key={layer.name}>
              <button
                type="button"
                aria-pressed={layer.name === chosen}
                title={titleOf(layer)}
                onClick={() => choose(layer.name)}
              >
                <Block {...scale(layer.output)} kind={kindOf(layer)} />
                <Name name={layer.name} lengths={layer.output} />
              </button>
            </li>
          ))}
        </ol>
      </Scroll>
      <p class="aside kinds">
        {kinds.map((kind) => (
          <span key={kind} class={`kind ${kind}`}>
            {LEGEND[kind] ?? kind}
          </span>
        ))}{' '}
        To scale: sides are pixels, or units; thickness is the number of maps.
      </p>
    </>
  );
}

function Name({ name, lengths: [number, ...sides] }: { name: string; lengths: readonly number[] }) {
  return (
    <>
      <span>{name}</span>
      <span class="number">
        {sides.length > 0 && <span>{shape(sides)} ×</span>} {count(number)}
      </span>
    </>
  );
}

interface BlockSize {
  /** Pixels, of the front. */
  width: number;
  height: number;
  /** Of the far side, to the right and up. */
  depth: number;
}

function Block({ width, height, depth, kind }: BlockSize & { kind: Kind | 'input' }) {
  const whole = width + depth;
  const top = (HEIGHT_PX - height - depth) / 2 + depth;
  return (
    <svg width={whole} height={HEIGHT_PX} viewBox={`0 0 ${whole} ${HEIGHT_PX}`} class={kind} aria-hidden="true">
      <rect y={top} width={width} height={height} />
      <path class="top" d={`M0 ${top} l${depth} ${-depth} h${width} l${-depth} ${depth}z`} />
      <path class="side" d={`M${width} ${top} l${depth} ${-depth} v${height} l${-depth} ${depth}z`} />
    </svg>
  );
}

function titleOf(layer: Layer): string {
  return `${operation(layer)}; ${count(layer.parameters)} parameters`;
}

/** Maps share one scale, vectors another. */
function scaleOf(shapes: readonly number[][]): (lengths: readonly number[]) => BlockSize {
  const most = (values: number[]) => Math.max(1, ...values);
  const maps = shapes.filter(({ length }) => length === 3);
  const side = most(maps.map(([, height]) => height));
  const channels = most(maps.map(([number]) => number));
  const units = most(shapes.filter(({ length }) => length === 1).map(([number]) => number));
  const atLeast = (px: number) => Math.max(px, LEAST_PX);
  return ([number, height, width]) =>
    height === undefined
      ? { width: 2 * LEAST_PX, height: atLeast((SIDE_PX * number) / units), depth: LEAST_PX }
      : {
          width: atLeast((THICK_PX * number) / channels),
          height: atLeast((SIDE_PX * height) / side),
          depth: (DEPTH * SIDE_PX * width) / side,
        };
}
