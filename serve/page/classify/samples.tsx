/** Images to try: drawings for models that were trained on their like, photographs for all others. */
import { ask } from '../server/request.js';

export interface Samples {
  list: Sample[];
  /** Who made them. */
  credit: string;
}

const OF_DRAWINGS: Samples = {
  list: DRAWINGS,
  credit: `Drawings of Twemoji, © Twitter and contributors, ${DRAWINGS_LICENCE}.`,
};
const OF_PHOTOGRAPHS: Samples = {
  list: PHOTOGRAPHS,
  credit: 'Photographs by Stéfan van der Walt, Rachel Michetti and SpaceX, in the public domain.',
};

/** Most names of the drawings are labels, in their own spelling, of none but the models that learnt them. */
export function samplesFor(labels: readonly string[]): Samples {
  const known = DRAWINGS.filter(({ name }) => labels.includes(name)).length;
  return known > DRAWINGS.length / 2 ? OF_DRAWINGS : OF_PHOTOGRAPHS;
}

/** @throws as `ask` */
export async function fetchSample({ url }: Sample): Promise<Blob> {
  return (await ask(url, {})).blob();
}

interface SampleListProps {
  samples: Samples;
  choose(sample: Sample): void;
}

export function SampleList({ samples, choose }: SampleListProps) {
  return (
    <>
      <ul class="samples" aria-label="Samples">
        {samples.list.map((sample) => (
          <li key={sample.url}>
            <button type="button" onClick={() => choose(sample)}>
              <img src={sample.url} alt={sample.name} width="64" height="64" />
            </button>
          </li>
        ))}
      </ul>
      <p class="aside credit">{samples.credit}</p>
    </>
  );
}
