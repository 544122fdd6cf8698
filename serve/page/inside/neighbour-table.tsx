/** The numbers of one normalised activation. */
import { significant } from '../parts/numbers.js';
import type { Normalised } from '../server/answers.js';

export function NeighbourTable({ at }: { at: Normalised }) {
  const { size, alpha, beta, bias } = at.lrn;
  const [, before, power, after] = /^(.*)\^([\d.]+)(.*)$/.exec(at.filled) ?? ['', at.filled];
  const most = Math.max(...at.neighbours.map(({ before }) => before)) || 1;
  return (
    <>
      <table class="neighbours">
        <caption>
          Row {at.y}, column {at.x}: <span class="bar-key" /> before <span class="bar-key after" /> after
        </caption>
        <thead>
          <tr>
            <th class="right">Channel</th>
            <th class="right">Before, a</th>
            <th class="right">a²</th>
            <th class="right">After, b</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {at.neighbours.map(({ channel, before, square, after }) => (
            <tr key={channel} class={channel === at.channel ? 'itself' : ''}>
              <th scope="row" class="right">
                {channel}
              </th>
              <td class="right">{significant(before)}</td>
              <td class="right">{significant(square)}</td>
              <td class="right">{significant(after)}</td>
              <td class="lengths" aria-hidden="true">
                <span class="bar" style={{ width: `${(100 * Math.max(before, 0)) / most}%` }} />
                <span class="bar after" style={{ width: `${(100 * Math.max(after, 0)) / most}%` }} />
              </td>
            </tr>
          ))}
        </tbody>
        <Sum squares={at.sum_of_squares} />
      </table>
      <p class="filled">
        b<sub>{at.channel}</sub> = {before}
        <sup>{power}</sup>
        {after}
      </p>
      <p class="aside">
        n = {size}, α = {alpha}, β = {beta}, k = {bias}; in brackets {significant(at.scale)}, to the power {beta}:{' '}
        {significant(at.denominator)}. The file itself gives {significant(at.after)}.
      </p>
    </>
  );
}

function Sum({ squares }: { squares: number }) {
  return (
    <tfoot>
      <tr>
        <th scope="row" class="right">
          sum
        </th>
        <td />
        <td class="right">{significant(squares)}</td>
        <td />
        <td />
      </tr>
    </tfoot>
  );
}
