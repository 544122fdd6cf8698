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
      intro={
        <p>
          No single number of a network explains an answer.{' '}
          {subject.indexed ? 'Two experiments tell' : 'An experiment tells'} something about it.
        </p>
      }
    >
      {subject.image ? (
        <>
          <Occlusion subject={subject} />
          {subject.indexed && <Neighbours subject={subject} />}
        </>
      ) : (
        <NoImage />
      )}
    </Chapter>
  );
}
