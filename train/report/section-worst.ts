/** The images with the greatest losses, and what the network said of them. */
import { percent } from '../../base/format.js';
import { sharp } from '../../base/image/sharp.js';
import type { Report } from './gather.js';
import { type Html, html, image } from './html.js';
import type { WorstAnswer } from './measure.js';

/** Images up to this side are small as PNG; photographs above are a tenth of it as JPEG. */
const PNG_PX = 64;
const JPEG_QUALITY = 85;
/** Shown at this size. */
const SHOWN_PX = 160;

export async function worstSection({ measured, run }: Report): Promise<Html | undefined> {
  if (!measured) return undefined;
  const cards = await Promise.all(measured.worst.map((answer) => card(answer, run.imagePx, run.labels)));
  return html`<section id="worst"><h2>Greatest losses</h2>
<p>The images to whose true class the network gave the least probability: mistakes of the network, and often labels worth a look.</p>
<ol class="cards${run.imagePx <= PNG_PX ? ' pixels' : ''}">
${cards}</ol></section>`;
}

async function card(answer: WorstAnswer, imagePx: number, labels: string[]): Promise<Html> {
  const { name, label, top5, probability, loss, pixels } = answer;
  const [truth, predicted] = [labels[label], labels[top5[0]]];
  const isSmall = imagePx <= PNG_PX;
  const drawn = sharp(pixels, { raw: { width: imagePx, height: imagePx, channels: 3 } });
  const bytes = await (isSmall ? drawn.png() : drawn.jpeg({ quality: JPEG_QUALITY })).toBuffer();
  const size = { width: SHOWN_PX, height: SHOWN_PX };
  return html`<li><figure>${image(bytes, isSmall ? 'png' : 'jpeg', `${truth}, predicted ${predicted}`, size)}
<figcaption>true <b>${truth}</b> ${nowrap(percent(Math.exp(-loss)))}<br>
predicted <b>${predicted}</b> ${nowrap(percent(probability))}<br>
<small>loss ${loss.toFixed(2)}, ${name}</small></figcaption></figure></li>
`;
}

const nowrap = (text: string) => html`<span class="number">${text}</span>`;
