/** The most probable classes as bars. Thin marks show where the single crops stand that a bar is the mean of. */
import { percent, words } from '../parts/numbers.js';
import type { Classified, Prediction } from '../server/answers.js';

export function Bars({ answer: { predictions, by_crop: crops } }: { answer: Classified }) {
  return (
    <>
      <ol class="bars">
        {predictions.map((prediction) => {
          const single = crops.flatMap((crop) => crop.predictions.filter(({ index }) => index === prediction.index));
          return (
            <li key={prediction.index}>
              <Label {...prediction} />
              <span class="percent">{percent(prediction.probability)}</span>
              <span class="track" aria-hidden="true">
                <span class="bar" style={{ width: `${100 * prediction.probability}%` }} />
                {crops.length > 1 &&
                  single.map(({ probability }, i) => (
                    <span key={i} class="tick" style={{ left: `${100 * probability}%` }} />
                  ))}
              </span>
            </li>
          );
        })}
      </ol>
      {crops.length > 1 && (
        <p class="aside legend">
          <span class="swatch" aria-hidden="true" /> mean of {crops.length} crops{' '}
          <span class="swatch one" aria-hidden="true" /> one crop alone
        </p>
      )}
    </>
  );
}

/** WordNet 3.0, which ImageNet's synsets are of, numbers them by offset and part of speech. */
function Label({ label, synset }: Prediction) {
  const offset = /^n(\d{8})$/.exec(synset ?? '')?.[1];
  return (
    <span class="label">
      {words(label)}
      {synset !== undefined && ' '}
      {offset ? (
        <a
          class="synset"
          href={`https://wordnet-rdf.princeton.edu/pwn30/${offset}-n`}
          rel="noreferrer"
          title="Its entry in WordNet, on the web"
        >
          {synset}
        </a>
      ) : (
        <span class="synset">{synset}</span>
      )}
    </span>
  );
}
