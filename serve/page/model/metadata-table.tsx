/** What a file says of itself. */
import { hasTop5 } from '../../../base/format.js';
import { bytes, count } from '../parts/numbers.js';
import type { Metadata } from '../server/answers.js';

/** Of a list. */
const SHOWN = 6;

export function MetadataTable({ metadata }: { metadata: Metadata }) {
  const { bytes: size, sha256, opset, ir, producer, doc, provider, activation, metadata: own } = metadata;
  const rows: [string, unknown][] = [
    ['size', bytes(size)],
    ['sha256', sha256],
    ['operator set', opset],
    ['IR version', ir],
    ['written by', producer],
    ['says', doc],
    ['runs on', provider],
    ['output', activation],
    ...Object.entries(own)
      .filter(([key]) => key !== 'top5_error' || !Array.isArray(own.labels) || hasTop5(own.labels.length))
      .map(([key, value]): [string, unknown] => [key.replaceAll('_', ' '), value]),
  ];
  return (
    <table class="facts">
      <tbody>
        {rows
          .filter(([, value]) => value !== undefined && value !== null && value !== '')
          .map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td>{textOf(value)}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) {
    const first = value.slice(0, SHOWN).map(textOf).join(', ');
    return value.length > SHOWN ? `${first} … (${count(value.length)})` : first;
  }
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, own]) => `${key} ${textOf(own)}`)
    .join(', ');
}
