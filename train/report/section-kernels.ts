/**
 * The first layer's kernels, in the groups that the second layer's convolution sees (Krizhevsky et al. 2012, Figure 3).
 */
import { findNetwork } from '../../model/registry.js';
import type { Report } from './gather.js';
import { type Html, html, image } from './html.js';
import { kernelImage } from './kernel-image.js';

export async function kernelsSection({ checkpoint, run }: Report): Promise<Html | undefined> {
  if (!checkpoint) return undefined;
  const { conv1 } = checkpoint;
  const conv2 = findNetwork(run.config.model).rows.find((row) => row.name === 'conv2');
  const groups = (conv2?.type === 'conv' && conv2.groups) || 1;
  const each = conv1.channels / groups;
  const images: Html[] = [];
  for (let group = 0; group < groups; group++) {
    const { png, width, height } = await kernelImage(conv1, group * each, each);
    const alt = `kernels ${group * each + 1} to ${(group + 1) * each} of conv1 as images in colour`;
    images.push(image(png, 'png', alt, { width, height }));
  }
  const what = `The ${conv1.channels} kernels of conv1, ${conv1.size} × ${conv1.size} × 3, each scaled to its largest weight; grey is 0.`;
  const halves = groups > 1 ? ` The ${groups} groups are those that conv2 sees apart, as in the paper's Figure 3.` : '';
  return html`<section id="kernels"><h2>First layer</h2>
<figure class="kernels">${images}<figcaption>${what}${halves}</figcaption></figure></section>`;
}
