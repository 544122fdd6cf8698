/** The model's name, and what it knows. */
import type { Labels } from '../server/answers.js';
import { count, words } from './numbers.js';
import { Scroll } from './scroll.js';

/** Labels named outright. */
const NAMED = 6;

export function Masthead({ known }: { known?: Labels }) {
  return (
    <header class="masthead">
      <h1>{known?.model.name ?? 'AlexNet'}</h1>
      {known ? <Known labels={known.labels} /> : <p class="lead">Show it an image: what it sees, and why.</p>}
    </header>
  );
}

function Known({ labels }: { labels: string[] }) {
  if (labels.length <= NAMED) return <p class="lead">A network that knows {list(labels)}.</p>;
  const some = Array.from({ length: NAMED }, (_, i) => labels[Math.floor((i * labels.length) / NAMED)]);
  return (
    <>
      <p class="lead">
        A network that knows {count(labels.length)} things, such as {list(some)}.
      </p>
      <details>
        <summary>All of them</summary>
        <Scroll label="What the network knows">
          <p class="labels">{labels.map(words).join(', ')}</p>
        </Scroll>
      </details>
    </>
  );
}

function list(labels: readonly string[]): string {
  return new Intl.ListFormat('en', { type: 'conjunction' }).format(labels.map(words));
}
