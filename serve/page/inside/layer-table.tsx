/** Every layer with its sizes, the formula filled in. */
import { SizeFormula } from '../parts/formulas.js';
import { count, shape } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { Layer, Layers } from '../server/answers.js';
import { operation } from './kind.js';

/** Stands in the note once. */
const GENERAL = /\(W − F \+ 2P\) \/ S \+ 1 = /g;

export function LayerTable({ layers, choose }: { layers: Layers; choose(name: string): void }) {
  const { parameters, macs } = layers.totals;
  return (
    <details>
      <summary>Every size, worked out</summary>
      <p class="note">
        A window of <i>F</i> pixels that moves by <i>S</i> over <i>W</i> pixels with <i>P</i> more at each edge gives{' '}
        <SizeFormula /> of them.
      </p>
      <Scroll label="Layers">
        <table>
          <thead>
            <tr>
              <th>Layer</th>
              <th>Operation</th>
              <th>Output</th>
              <th>Its side</th>
              <th class="right">Sees, px</th>
              <th class="right">Parameters</th>
              <th class="right">Multiply-adds</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">{layers.input.name}</th>
              <td>one crop</td>
              <td>{shape(layers.input.shape)}</td>
              <td />
              <td />
              <td />
              <td />
            </tr>
            {layers.layers.map((layer) => (
              <Row key={layer.name} layer={layer} choose={choose} />
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">total</th>
              <td />
              <td />
              <td />
              <td />
              <td class="right">{count(parameters)}</td>
              <td class="right">{count(macs)}</td>
            </tr>
          </tfoot>
        </table>
      </Scroll>
    </details>
  );
}

function Row({ layer, choose }: { layer: Layer; choose(name: string): void }) {
  const seen = layer.receptive_field;
  const show = (name: string) => {
    choose(name);
    document.getElementById('activations')?.scrollIntoView();
  };
  return (
    <tr>
      <th scope="row">
        {layer.views.includes('activations') ? (
          <button type="button" class="link" title="Show its activations" onClick={() => show(layer.name)}>
            {layer.name}
          </button>
        ) : (
          layer.name
        )}
      </th>
      <td>{operation(layer)}</td>
      <td class="nowrap">{shape(layer.output)}</td>
      <td class="formula">{layer.formula?.replace(GENERAL, '')}</td>
      <td class="right">{seen && count(seen.size)}</td>
      <td class="right">{layer.parameters > 0 && count(layer.parameters)}</td>
      <td class="right">{layer.macs > 0 && count(layer.macs)}</td>
    </tr>
  );
}
