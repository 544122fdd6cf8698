/** HTML from templates: what is put into one is escaped, unless it is HTML already. */
import { escapeMarkup } from '../../base/markup.js';

/** Text that is HTML. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template takes; undefined is nothing, parts of an array follow one another. */
export type Content = Html | string | number | undefined | readonly Content[];

export function html(strings: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(strings.reduce((text, string, i) => text + textOf(contents[i - 1]) + string));
}

function textOf(content: Content): string {
  if (content === undefined) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(textOf).join('');
  return escapeMarkup(String(content));
}

/** A column of a table; numbers stand at the right. */
export interface Column {
  name: string;
  isNumber?: boolean;
}

/**
 * A table whose first column names its rows, in a box of its own that scrolls if it is too large.
 * @param caption  says what the table shows
 * @param columns  those without a name have no heads: name and value speak for themselves
 */
export function table(caption: string, columns: Column[], rows: readonly (readonly Content[])[]): Html {
  const side = (index: number) => (columns[index].isNumber ? html` class="number"` : undefined);
  const heads = columns.map(({ name }, index) => html`<th scope="col"${side(index)}>${name}</th>`);
  const lines = rows.map(([first, ...rest]) => {
    const cells = rest.map((cell, index) => html`<td${side(index + 1)}>${cell}</td>`);
    return html`<tr><th scope="row"${side(0)}>${first}</th>${cells}</tr>\n`;
  });
  return scrolling(
    caption,
    html`<table><caption>${caption}</caption>
${columns.every(({ name }) => name === '') ? undefined : html`<thead><tr>${heads}</tr></thead>`}
<tbody>
${lines}</tbody></table>`,
  );
}

/** A box that scrolls, by keyboard too. */
export function scrolling(label: string, contents: Html): Html {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">${contents}</div>`;
}

/** An image inside the page. */
export function image(
  bytes: Buffer,
  format: 'png' | 'jpeg',
  alt: string,
  sizePx: { width: number; height: number },
): Html {
  const source = `data:image/${format};base64,${bytes.toString('base64')}`;
  return html`<img src="${source}" alt="${alt}" width="${sizePx.width}" height="${sizePx.height}">`;
}
