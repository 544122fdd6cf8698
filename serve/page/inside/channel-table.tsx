/** The drawing of a layer as numbers. */
import { significant } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { MapStatistics } from './statistics.js';

export function ChannelTable({ statistics, name }: { statistics: MapStatistics[]; name: string }) {
  return (
    <details>
      <summary>The same as a table</summary>
      <Scroll label={`Channels of ${name}`}>
        <table>
          <thead>
            <tr>
              <th class="right">Channel</th>
              <th class="right">Largest</th>
              <th class="right">Row</th>
              <th class="right">Column</th>
              <th class="right">Mean</th>
              <th class="right">Zeros, %</th>
            </tr>
          </thead>
          <tbody>
            {statistics.map(({ largest, row, column, mean, zeros }, channel) => (
              <tr key={channel}>
                <th scope="row" class="right">
                  {channel}
                </th>
                <td class="right">{significant(largest)}</td>
                <td class="right">{row}</td>
                <td class="right">{column}</td>
                <td class="right">{significant(mean)}</td>
                <td class="right">{Math.round(100 * zeros)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
