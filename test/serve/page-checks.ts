/** What the page must do on screens of every size: small ones in the quick tests, the others in the slow ones. */
import assert from 'node:assert/strict';
import sharp from 'sharp';
import { assertAccessible, bars, choose, visit } from './chromium.js';
import { corner } from './images.js';

interface Size {
  width: number;
  height: number;
}

/** A photograph is sent small, and the answer scrolls into view. */
export async function assertShrinks(url: string, viewport: Size): Promise<void> {
  const raw = { width: 600, height: 400, channels: 3 } as const;
  const noise = Uint8Array.from({ length: 600 * 400 * 3 }, (_, i) => (i * i * 37) % 251);
  const large = await sharp(noise, { raw }).resize(3000, 2000).jpeg().toBuffer();
  assert.ok(large.length > 300_000);
  const { page } = await visit(url, { viewport });
  await page.getByRole('region', { name: 'Answer to cat.jpg' }).waitFor();
  await choose(page, 'large.jpg', 'image/jpeg', large);
  await page.getByText(/^large\.jpg: .* of which .* were sent$/).waitFor();
  const size = await page.evaluate(`(async () => {
    const image = document.querySelector('.picked img');
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
  })()`);
  assert.deepEqual(size, [768, 512]);
  await bars(page);
  await page.evaluate(`(async () => {
    const last = () => document.querySelector('.bars li:last-child').getBoundingClientRect();
    for (let frames = 0; last().top < 0 || last().bottom > innerHeight; frames++) {
      if (frames > 600) throw new Error('the bars stay out of view: ' + JSON.stringify(last()));
      await new Promise(requestAnimationFrame); // it scrolls there
    }
  })()`);
}

/** Nothing is wider than the screen, no button covers the text that it copies, and axe finds no serious fault. */
export async function assertFits(
  url: string,
  options: { viewport: Size; colorScheme: 'light' | 'dark' },
): Promise<void> {
  const { page, complaints } = await visit(url, options);
  await assertAccessible(page);
  await choose(page, 'corner.png', 'image/png', await corner(1).png().toBuffer());
  await bars(page);
  for (const button of ['Open the network', 'Open the file']) await page.getByRole('button', { name: button }).click();
  for (const title of ['The layers', 'The file', 'The graph'])
    await page.getByRole('heading', { name: title }).waitFor();
  await page.getByRole('img', { name: /^Graph of/ }).waitFor();
  await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`);
  await assertAccessible(page);
  const [wide, ground] = await page.evaluate<[number, string]>(
    '[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]',
  );
  assert.ok(wide <= options.viewport.width, `${wide} pixels`);
  const apart = await page.evaluate(`[...document.querySelectorAll('.copyable')].map((one) => {
    const [text, button] = ['.scroll', 'button'].map((name) => one.querySelector(name).getBoundingClientRect());
    return text.right <= button.left;
  })`);
  assert.deepEqual(apart, [true, true], 'the curl line and the JSON');
  assert.equal(ground, options.colorScheme === 'dark' ? 'rgb(22, 24, 27)' : 'rgb(253, 252, 249)');
  assert.deepEqual(complaints, []);
}
