/** The picture, cut to a square as the server cuts it, with the crops drawn on it. */
import type { Crop } from '../server/answers.js';
import type { Picture } from '../subject.js';

interface PickedProps {
  picture: Picture;
  /** Side of the square that crops are cut from, pixels; undefined until it is known. */
  imagePx?: number;
  crops: readonly Crop[];
  chosen?: number;
}

export function Picked({ picture, imagePx, crops, chosen }: PickedProps) {
  const current = chosen === undefined ? undefined : crops[chosen];
  return (
    <figure class="picked">
      <div class="square">
        <img src={picture.url} alt={`Your picture, ${picture.name}, cut to a square`} />
        {imagePx && (
          <svg viewBox={`0 0 ${imagePx} ${imagePx}`} aria-hidden="true">
            {crops.map((crop, i) => (
              <Outline key={i} {...crop} />
            ))}
            {current && <Outline {...current} chosen />}
          </svg>
        )}
      </div>
      <figcaption>
        {picture.name}
        {current && `; outlined: the crop ${current.name}${current.mirror ? ', mirrored' : ''}`}
      </figcaption>
    </figure>
  );
}

/** Half a stroke inside, so that crops at the edge are seen whole. */
function Outline({ top, left, size, chosen }: Crop & { chosen?: boolean }) {
  return <rect class={chosen ? 'crop chosen' : 'crop'} x={left + 1} y={top + 1} width={size - 2} height={size - 2} />;
}
