/** The image, cut or stretched as the server does it, with the crops drawn on it. */
import { bytes } from '../parts/numbers.js';
import type { Crop } from '../server/answers.js';
import type { Image, Shape, Source } from '../subject.js';

interface PickedProps {
  image: Image;
  source: Source;
  /** What crops are cut from; undefined until it is known. */
  shape?: Shape;
  crops: readonly Crop[];
  chosen?: number;
}

/** `the whole image`, `the top left crop, mirrored`. */
const inWords = (name: string) =>
  `the ${name.replace(/^[^,]+/, (place) => `${place} ${place === 'whole' ? 'image' : 'crop'}`)}`;

export function Picked({ image, source, shape, crops, chosen }: PickedProps) {
  const current = chosen === undefined ? undefined : crops[chosen];
  return (
    <figure class="picked">
      <div class="square" style={shape && { aspectRatio: `${shape.width} / ${shape.height}` }}>
        {source.url && (
          <img
            src={source.url}
            alt={`Your image, ${image.name}, ${shape?.fit === 'stretch' ? 'stretched' : 'cut'} to ${nameOf(shape)}`}
            style={{ objectFit: shape?.fit === 'stretch' ? 'fill' : 'cover' }}
          />
        )}
        {shape && (
          <svg viewBox={`0 0 ${shape.width} ${shape.height}`} aria-hidden="true">
            {crops.map((crop, i) => (
              <Outline key={i} crop={crop} imagePx={shape.width} />
            ))}
            {current && <Outline crop={current} imagePx={shape.width} chosen />}
          </svg>
        )}
      </div>
      <figcaption>
        {image.name}
        {image.blob.size < image.bytes && `: ${bytes(image.bytes)}, of which ${bytes(image.blob.size)} were sent`}
        {source.note && `; ${source.note}`}
        {current && `; outlined: ${inWords(current.name)}`}
      </figcaption>
    </figure>
  );
}

function nameOf(shape: Shape | undefined): string {
  return !shape || shape.width === shape.height ? 'a square' : `${shape.width} × ${shape.height} pixels`;
}

/** Of the image's side: crops at the edge are seen whole. */
const INSET = 1 / 250;

/** Dark under light, so that it is seen on every image. */
function Outline({ crop, imagePx, chosen }: { crop: Crop; imagePx: number; chosen?: boolean }) {
  const inset = INSET * imagePx;
  const place = {
    x: crop.left + inset,
    y: crop.top + inset,
    width: crop.size - 2 * inset,
    height: (crop.height ?? crop.size) - 2 * inset,
  };
  return (
    <>
      <rect class="crop under" {...place} />
      <rect class={chosen ? 'crop chosen' : 'crop'} {...place} />
    </>
  );
}
