/** Response normalisation worked out on six filters, small enough to check by hand, with a layer's own constants. */
import { significant } from '../parts/numbers.js';
import type { Layer } from '../server/answers.js';

const BEFORE = [10, 20, 100, 30, 0, 40];
/** The one whose sum is written out. */
const SHOWN = 3;

export function SixFilters({ lrn: { size, alpha, beta, bias } }: { lrn: NonNullable<Layer['lrn']> }) {
  const windowOf = (i: number) => {
    const first = Math.max(0, i - Math.floor((size - 1) / 2));
    return BEFORE.slice(first, i + Math.ceil((size - 1) / 2) + 1);
  };
  const sumOf = (i: number) => windowOf(i).reduce((sum, value) => sum + value ** 2, 0);
  const after = BEFORE.map((value, i) => value / (bias + (alpha / size) * sumOf(i)) ** beta);
  return (
    <details>
      <summary>Six filters, worked out</summary>
      <table class="narrow six">
        <tbody>
          <Row name="Filter" values={BEFORE.map((_, i) => i + 1)} />
          <Row name="Before, a" values={BEFORE} />
          <Row name="After, b" values={after} />
        </tbody>
      </table>
      <p class="filled">
        b<sub>{SHOWN + 1}</sub> = {BEFORE[SHOWN]} / ({bias} + {alpha}/{size} · (
        {windowOf(SHOWN)
          .map((value) => `${value}²`)
          .join(' + ')}
        ))<sup>{beta}</sup> = {significant(after[SHOWN])}
      </p>
      <p class="aside">
        Filter 3 shouts: of its neighbour, filter 2, {significant((100 * after[1]) / BEFORE[1])} % is left
        {size < 7 && `; of filter 6, too far away to hear it, ${significant((100 * after[5]) / BEFORE[5])} %`}.
      </p>
    </details>
  );
}

function Row({ name, values }: { name: string; values: readonly number[] }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      {values.map((value, i) => (
        <td key={i} class="right">
          {significant(value)}
        </td>
      ))}
    </tr>
  );
}
