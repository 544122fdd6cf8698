/** The images of an index that are nearest to the image for the network, as in the paper's Figure 4. */
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { count, significant, words } from '../parts/numbers.js';
import type { Neighbours as Found } from '../server/answers.js';
import { askJson } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';

const SHOWN = 10;

export function Neighbours({ subject: { image, target, epoch } }: { subject: Subject }) {
  const running = useTask(
    (signal) => askJson<Found>('explain/neighbours', { k: SHOWN, ...target }, signal, image!.blob),
    [image, target, epoch],
  );
  return (
    <View
      title="Nearest images"
      wide={running.task.state === 'idle'} // nothing stands next to a note yet
      note={
        <p>
          The last layer before the classes gives each image a vector. Images with close vectors look alike to the
          network, though their pixels may have nothing in common (§6.1, Figure 4).
        </p>
      }
    >
      {running.task.state === 'idle' && (
        <button type="button" onClick={running.start}>
          Find the nearest images
        </button>
      )}
      <Answer of={running} working="Looking for the nearest">
        {({ neighbours, layer, dimension, metric, method, indexed }) => (
          <>
            <ol class="thumbnails" aria-label="Nearest images">
              {neighbours.map(({ name, label, distance, thumbnail }) => (
                <li key={name}>
                  <span class="square">{thumbnail ? <img src={thumbnail} alt={name} /> : name}</span>
                  {label && words(label)} <span class="number">{significant(distance)}</span>
                </li>
              ))}
            </ol>
            <p class="aside">
              {metric === 'euclidean' ? 'Euclidean' : metric} distances in the {count(dimension)} features of {layer},
              among {count(indexed)} images;{' '}
              {method === 'exact' ? 'all compared' : 'candidates from an approximate index'}.
            </p>
          </>
        )}
      </Answer>
    </View>
  );
}
