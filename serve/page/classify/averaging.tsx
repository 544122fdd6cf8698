/** What averaging does: the crops that an answer is the mean of, each with its own. */
import type { Classified, Crop } from '../server/answers.js';
import { type Shape, type Subject, shapeOf } from '../subject.js';
import { CropTiles } from './crop-tiles.js';

interface AveragingProps {
  answer: Classified;
  subject: Subject;
  setCrop(number: number): void;
  /** Whether they are seen, and outlined on the image. */
  shown: boolean;
  show(shown: boolean): void;
}

export function Averaging({ answer, subject, setCrop, shown, show }: AveragingProps) {
  const { by_crop: crops } = answer;
  const shape = shapeOf(answer);
  const title =
    crops.length === 1 ? 'Crop: what the network looks at' : `Crops: the answer is the mean of ${crops.length}`;
  return (
    <details class="averaging" open={shown} onToggle={(event) => show(event.currentTarget.open)}>
      <summary>{title}</summary>
      <div class="note">
        <Note count={crops.length} crop={crops[0]} shape={shape} />
      </div>
      <CropTiles
        crops={crops}
        shape={shape}
        source={subject.source}
        chosen={subject.crop?.number ?? 0}
        choose={setCrop}
      />
    </details>
  );
}

/** By how many there are. */
const PLACES: Record<number, string> = {
  1: 'its centre',
  2: 'its centre, and the mirror image of that',
  5: 'the four corners and the centre',
  10: 'the four corners and the centre, and the mirror image of each',
};

function Note({ count, crop, shape }: { count: number; crop: Crop; shape: Shape }) {
  const { size: width, height = width } = crop;
  return (
    <>
      {width < shape.width || height < shape.height ? (
        <p>
          The network never sees the whole image. It looks at {pixels(width, height)} cut from the{' '}
          {shape.width === shape.height ? `${shape.width}-pixel` : `${shape.width} × ${shape.height} pixel`} one:{' '}
          {PLACES[count]}.
        </p>
      ) : (
        <p>
          The network sees the image at {width} × {height} pixels
          {shape.fit === 'stretch' && ', stretched to that shape'}
          {count === 2 && ', and its mirror image'}.
        </p>
      )}
      {count > 1 && (
        <p>
          The answer above is the mean of their probabilities (§4.1); the thin marks on the bars are the single ones.
          All are outlined on the image above; the one chosen here is what the chapters below look into.
        </p>
      )}
    </>
  );
}

function pixels(width: number, height: number): string {
  return width === height ? `squares of ${width} pixels` : `rectangles of ${width} × ${height} pixels`;
}
