/** The same without this page: a line for a terminal, and the JSON that the answer was made from. */
import { Copyable } from '../parts/copy.js';
import type { Classified } from '../server/answers.js';
import { path, type Target } from '../server/request.js';
import type { Image } from '../subject.js';
import { QUERY } from './result.js';

interface RequestProps {
  answer: Classified;
  image: Image;
  target: Target;
}

export function Request({ answer, image, target }: RequestProps) {
  const url = new URL(path('classify', { ...QUERY, ...target }), document.baseURI);
  const line = `curl --data-binary @${quoted(image.name)} '${url}'`;
  return (
    <details class="request">
      <summary>The same from a terminal, and the JSON of this answer</summary>
      <Copyable label="Command for a terminal" text={line} />
      <Copyable label="JSON of the answer" text={JSON.stringify(answer, null, 1)} />
    </details>
  );
}

/** For a shell. */
function quoted(name: string): string {
  return /^[\w.+-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}
