/**
 * The three images of the page in README.md and docs/serve.md: `npm run demo -- --exit && node dist/test/serve/screenshots.js
 * runs/demo/emoji.onnx serve/page/screenshots`. What they show is drawn here, so that no drawing of others is part of
 * the repository.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Locator } from 'playwright-core';
import sharp from 'sharp';
import { createServer } from '../../serve/server.js';

const BOAT = `<svg xmlns="http://www.w3.org/2000/svg" width="384" height="384" viewBox="0 0 96 96">
  <rect width="96" height="96" fill="#fff"/>
  <path d="M45 8v52h-33z" fill="#f4a623"/><path d="M50 16v44h32z" fill="#ffc84a"/>
  <path d="M46 6h3v58h-3z" fill="#8a5a2b"/><path d="M8 64h80l-12 16H20z" fill="#b9382c"/>
  <path d="M0 78q8-6 16 0t16 0 16 0 16 0 16 0 16 0v18H0z" fill="#3f8fd6"/>
</svg>`;
const MARGIN_PX = 16;

const [file, folder] = process.argv.slice(2);
const server = createServer({ port: 0, provider: 'cpu', files: [file] });
const { url } = await server.start();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 1120, height: 900 }, colorScheme: 'light' });
  await page.goto(url);
  const buffer = await sharp(Buffer.from(BOAT)).png().toBuffer();
  await page.locator('input[type=file]').first().setInputFiles({ name: 'boat.png', mimeType: 'image/png', buffer });
  await page.getByRole('region', { name: 'Answer to boat.png' }).waitFor();
  await page.getByText('Answered in').waitFor();
  await page.getByRole('button', { name: 'Open the network' }).click();
  await page.locator('.enlarged').waitFor();
  await page.locator('.sum').waitFor();
  // Drawings of others, and what else would lie over the page.
  await page.evaluate(
    `for (const one of document.querySelectorAll('.samples, .credit, .contents')) one.style.display = 'none'`,
  );
  await mkdir(folder, { recursive: true });
  await take('classify', page.locator('.masthead'), page.locator('.outcome'));
  await take('layers', page.getByRole('heading', { name: 'The layers' }), page.locator('#activations figure').first());
  await take('convolution', page.getByRole('heading', { name: 'What a convolution does' }), page.locator('.steps + p'));

  /** From the top of one to the bottom of another. */
  async function take(name: string, first: Locator, last: Locator): Promise<void> {
    const [from, to] = [await first.boundingBox(), await last.boundingBox()];
    const whole = await page.screenshot({ fullPage: true });
    const scrolled = await page.evaluate<number>('scrollY');
    const top = Math.max(0, Math.round(from!.y + scrolled - MARGIN_PX));
    const height = Math.round(to!.y + to!.height + scrolled + MARGIN_PX) - top;
    await sharp(whole)
      .extract({ left: 0, top, width: 1120, height })
      .png({ palette: true })
      .toFile(join(folder, `${name}.png`));
  }
} finally {
  await browser.close();
  server.kill();
}
