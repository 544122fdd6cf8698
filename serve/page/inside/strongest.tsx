/** The images of an index that a channel answers to most. */
import { Answer } from '../parts/answer.js';
import { View } from '../parts/chapter.js';
import { count, significant, words } from '../parts/numbers.js';
import type { Strongest as Found, Layer } from '../server/answers.js';
import { askJson } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';

interface StrongestProps {
  layer: Layer;
  channel: number | undefined;
  subject: Subject;
}

export function Strongest({ layer, channel = 0, subject: { target, epoch } }: StrongestProps) {
  const running = useTask(
    (signal) => askJson<Found>('explain/strongest', { layer: layer.name, channel, ...target }, signal),
    [layer.name, channel, target, epoch],
    true,
  );
  const which = `${layer.name}, channel ${channel}`;
  return (
    <View
      title={`What excites ${which}`}
      note={
        <p>
          Among the images that this server has an index of, those on which the chosen channel is largest, and outlined
          the part that it sees there. What they share is what the channel stands for.
        </p>
      }
    >
      <Answer of={running} working="Looking through the index">
        {({ strongest, indexed }) => (
          <>
            <ol class="thumbnails" aria-label={`Strongest inputs of ${which}`}>
              {strongest.map((one) => (
                <li key={one.name}>
                  <span class="square">
                    <img src={one.thumbnail} alt={one.name} />
                    {one.field && (
                      <svg viewBox={`0 0 ${one.image_px} ${one.image_px}`} aria-hidden="true">
                        <rect
                          class="crop chosen"
                          x={one.field.left}
                          y={one.field.top}
                          width={one.field.width}
                          height={one.field.height}
                        />
                      </svg>
                    )}
                  </span>
                  {one.label && words(one.label)} <span class="number">{significant(one.value)}</span>
                </li>
              ))}
            </ol>
            <p class="aside">
              {which}, among {count(indexed)} images.
            </p>
          </>
        )}
      </Answer>
    </View>
  );
}
