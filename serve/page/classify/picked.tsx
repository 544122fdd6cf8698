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
              <Outline key={i} crop={crop} imagePx={imagePx} />
            ))}
            {current && <Outline crop={current} imagePx={imagePx} chosen />}
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

/** Of the picture's side: crops at the edge are seen whole. */
const INSET = 1 / 250;

/** Dark under light, so that it is seen on every picture. */
function Outline({ crop, imagePx, chosen }: { crop: Crop; imagePx: number; chosen?: boolean }) {
  const inset = INSET * imagePx;
  const place = {
    x: crop.left + inset,
    y: crop.top + inset,
    width: crop.size - 2 * inset,
    height: crop.size - 2 * inset,
  };
  return (
    <>
      <rect class="crop under" {...place} />
      <rect class={chosen ? 'crop chosen' : 'crop'} {...place} />
    </>
  );
}
