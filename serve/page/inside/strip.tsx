/**
 * The network to scale, in the spirit of the paper's Figure 2: heights are sides of maps, widths are their number. A
 * click on a block chooses it for all views.
 */
import { count, shape } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { Layer, Layers } from '../server/answers.js';
import { type Kind, kindOf, operation } from './kind.js';

const HEIGHT_PX = 120;
const WIDTH_PX = 64;
/** Of what would be too thin to be seen. */
const LEAST_PX = 3;

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
            <span>image</span>
            <span class="number">{shape(input.shape)}</span>
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
                <span>{layer.name}</span>
                <span class="number">{shape(layer.output)}</span>
              </button>
            </li>
          ))}
        </ol>
      </Scroll>
      <p class="aside kinds">
        {kinds.map((kind) => (
          <span key={kind} class={`kind ${kind}`}>
            {kind === 'connected' ? 'fully connected' : kind}
          </span>
        ))}{' '}
        Heights to scale: pixels of a side, or units. Widths: maps.
      </p>
    </>
  );
}

function Block({ width, height, kind }: { width: number; height: number; kind: Kind | 'input' }) {
  return (
    <svg width={WIDTH_PX} height={HEIGHT_PX} viewBox={`0 0 ${WIDTH_PX} ${HEIGHT_PX}`} aria-hidden="true">
      <rect
        class={`block ${kind}`}
        x={(WIDTH_PX - width) / 2}
        y={(HEIGHT_PX - height) / 2}
        width={width}
        height={height}
      />
    </svg>
  );
}

function titleOf(layer: Layer): string {
  return `${operation(layer)}; ${count(layer.parameters)} parameters`;
}

/** Maps share one scale, vectors another. */
function scaleOf(shapes: readonly number[][]): (lengths: readonly number[]) => { width: number; height: number } {
  const most = (values: number[]) => Math.max(1, ...values);
  const maps = shapes.filter(({ length }) => length === 3);
  const side = most(maps.map(([, height]) => height));
  const channels = most(maps.map(([number]) => number));
  const units = most(shapes.filter(({ length }) => length === 1).map(([number]) => number));
  return ([number, height]) =>
    height === undefined
      ? { width: 8, height: Math.max((HEIGHT_PX * number) / units, LEAST_PX) }
      : {
          width: Math.max((WIDTH_PX * number) / channels, LEAST_PX),
          height: Math.max((HEIGHT_PX * height) / side, LEAST_PX),
        };
}
