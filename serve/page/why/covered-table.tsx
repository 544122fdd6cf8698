/** The heat map as numbers. */
import { words } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { Covered } from './cover.js';

export function CoveredTable({ covered: { start, probabilities } }: { covered: Covered }) {
  const title = `Probability of ${words(start.class.label)}`;
  const rows = Array.from({ length: start.rows }, (_, row) =>
    probabilities.slice(row * start.columns, (row + 1) * start.columns),
  );
  return (
    <details>
      <summary>The same as a table</summary>
      <Scroll label={`${title} by the place that is covered`}>
        <table class="grid">
          <caption>{title}, %, by the first pixel of the square</caption>
          <thead>
            <tr>
              <th class="right">row \ column</th>
              {start.x.map((x) => (
                <th key={x} class="right">
                  {x}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={start.y[i]}>
                <th scope="row" class="right">
                  {start.y[i]}
                </th>
                {row.map((probability, column) => (
                  <td key={start.x[column]} class="right">
                    {(100 * probability).toFixed(1)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
