/** Where the time went, on the server and on the way. */
import { milliseconds } from '../parts/numbers.js';
import type { Result } from './result.js';

export function Timings({ result: { answer, roundTripMs } }: { result: Result }) {
  const { queue, decode, inference, total } = answer.timings_ms;
  const parts: [string, number][] = [
    ['waiting', queue],
    ['decoding', decode],
    ['inference', inference],
    ['server', total],
    ['round trip', roundTripMs],
  ];
  return (
    <details>
      <summary>Answered in {milliseconds(total)}</summary>
      <dl class="timings" aria-label="Times">
        {parts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{milliseconds(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
