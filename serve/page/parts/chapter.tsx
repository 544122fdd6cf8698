/** A chapter of the page, and a view in it: heading, what is seen, and the note next to it that explains. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

interface ChapterProps {
  id: string;
  ordinal: number;
  title: string;
  /** What it shows, before it is opened. */
  intro: ComponentChildren;
  children: ComponentChildren;
}

export function Chapter({ id, ordinal, title, intro, children }: ChapterProps) {
  return (
    <section class="chapter" id={id} aria-labelledby={`${id}-title`}>
      <header>
        <h2 id={`${id}-title`}>
          <span class="ordinal">{ordinal}</span>
          {title}
        </h2>
        {intro}
      </header>
      {children}
    </section>
  );
}

/** A chapter that costs the server work: opened by its button, or by a link to it. */
export function OnDemand({ open: label, ...chapter }: ChapterProps & { open: string }) {
  const [open, setOpen] = useState(location.hash === `#${chapter.id}`);
  useEffect(() => {
    const follow = () => {
      if (location.hash === `#${chapter.id}`) setOpen(true);
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [chapter.id]);
  const button = (
    <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
      {open ? 'Close' : label}
    </button>
  );
  return (
    <Chapter {...chapter} intro={[chapter.intro, button]}>
      {open && chapter.children}
    </Chapter>
  );
}

interface ViewProps {
  title: string;
  /** Two or three sentences, with the paper's section. */
  note: ComponentChildren;
  /** Takes the margin too; the note stands above. */
  wide?: boolean;
  id?: string;
  children: ComponentChildren;
}

export function View({ title, note, wide, id, children }: ViewProps) {
  return (
    <section class={wide ? 'view wide' : 'view'} id={id}>
      <h3>{title}</h3>
      <div class="note">{note}</div>
      <div class="body">{children}</div>
    </section>
  );
}
