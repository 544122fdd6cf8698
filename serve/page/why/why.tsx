/** The third chapter: what in the image the answer hangs on, and which images are near it for the network. */
import { NoImage } from '../inside/activations.js';
import { Chapter } from '../parts/chapter.js';
import type { Subject } from '../subject.js';
import { Neighbours } from './neighbours.js';
import { Occlusion } from './occlusion.js';

export function Why({ subject }: { subject: Subject }) {
  return (
    <Chapter
      id="why"
      ordinal={3}
      title="Why"
      intro={<p>No single number of a network explains an answer. Two experiments tell something about it.</p>}
    >
      {subject.image ? (
        <>
          <Occlusion subject={subject} />
          <Neighbours subject={subject} />
        </>
      ) : (
        <NoImage />
      )}
    </Chapter>
  );
}
