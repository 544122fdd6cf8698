/** What averaging does: the crops that an answer is the mean of, each with its own. */
import { View } from '../parts/chapter.js';
import type { Classified } from '../server/answers.js';
import type { Picture, Subject } from '../subject.js';
import { CropTiles } from './crop-tiles.js';

interface AveragingProps {
  answer: Classified;
  picture: Picture;
  subject: Subject;
  setCrop(number: number): void;
}

export function Averaging({ answer, picture, subject, setCrop }: AveragingProps) {
  const { by_crop: crops, image_px: imagePx } = answer;
  const title = crops.length === 1 ? 'One crop' : `The mean of ${crops.length} crops`;
  return (
    <View title={title} note={<Note count={crops.length} size={crops[0].size} imagePx={imagePx} />}>
      <CropTiles
        crops={crops}
        imagePx={imagePx}
        picture={picture}
        chosen={subject.crop?.number ?? 0}
        choose={setCrop}
      />
    </View>
  );
}

/** By how many there are. */
const PLACES: Record<number, string> = {
  1: 'its centre',
  2: 'its centre, and the mirror image of that',
  5: 'the four corners and the centre',
  10: 'the four corners and the centre, and the mirror image of each',
};

function Note({ count, size, imagePx }: { count: number; size: number; imagePx: number }) {
  return (
    <>
      {size < imagePx ? (
        <p>
          The network never sees the whole picture. It looks at {count === 1 ? 'a square' : 'squares'} of {size} pixels
          cut from the {imagePx}-pixel one: {PLACES[count]}.
        </p>
      ) : (
        <p>
          The network sees the picture at {size} × {size} pixels{count === 2 && ', and its mirror image'}.
        </p>
      )}
      {count > 1 && (
        <p>
          The answer above is the mean of their probabilities (§4.1); the thin marks on the bars are the single ones.
          The crop chosen here is what the chapters below look into.
        </p>
      )}
    </>
  );
}
