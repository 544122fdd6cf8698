/** The server's page in Debian's chromium. Tests that need it are skipped, visibly, where it is not installed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const CHROMIUM = process.env.ALEXNET_CHROMIUM ?? '/usr/bin/chromium';

/** For a test's options. */
export const skip = existsSync(CHROMIUM)
  ? false
  : `no ${CHROMIUM}; install Debian's chromium, or name another in ALEXNET_CHROMIUM`;

/** For what a test waits for; machines are busy. */
const WAIT_MS = 20_000;

/** Without these it asks its maker's servers at every start; the camera is a drawn one. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** WebGPU on SwiftShader, which chromium brings along. */
export const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

const browsers = new Map<string, Promise<Browser>>();
/** By options and flags. A new page costs a second of processor time, for the processes that chromium starts. */
const pages = new Map<string, Promise<Page>>();
let last: Page | undefined;
after(async () => {
  for (const browser of browsers.values()) await (await browser).close();
});

function browserWith(flags: readonly string[]): Promise<Browser> {
  const key = flags.join(' ');
  const running = browsers.get(key) ?? chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...flags] });
  browsers.set(key, running);
  return running;
}

export interface Visit {
  page: Page;
  /** Addresses asked for, other than those that the page made itself. */
  asked: string[];
  /** What a browser complains of: breaches of the policy, uncaught errors. */
  complaints: string[];
}

async function openPage(options: BrowserContextOptions, flags: readonly string[]): Promise<Page> {
  const context = await (await browserWith(flags)).newContext(options);
  context.setDefaultTimeout(WAIT_MS);
  return context.newPage();
}

/** Empty: a page that nobody looks at any more still asks its server and draws. */
async function clear(page: Page): Promise<void> {
  page.removeAllListeners();
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.goto('about:blank');
}

/**
 * The page at `url`, loaded from scratch; gone when the next is visited. Without motion unless asked for: clicks miss
 * what scrolls smoothly away from under them.
 *
 * @param flags  more of chromium's, in a browser of their own
 */
export async function visit(
  url: string,
  given: BrowserContextOptions = {},
  flags: readonly string[] = [],
): Promise<Visit> {
  if (last) await clear(last);
  const options: BrowserContextOptions = { reducedMotion: 'reduce', ...given };
  const key = JSON.stringify([options, flags]);
  const opened = pages.get(key) ?? openPage(options, flags);
  pages.set(key, opened);
  const page = await opened;
  last = page;
  const [asked, complaints]: [string[], string[]] = [[], []];
  page.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url())) asked.push(request.url());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // What the server refuses is said on the page; chromium says it as well.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, asked, complaints };
}

/**
 * A file dragged onto the page, or pasted into it. What runs in the browser is text here, as its types are not those of
 * Node.
 */
export async function give(
  page: Page,
  how: 'drop' | 'paste',
  name: string,
  type: string,
  bytes: Buffer,
): Promise<void> {
  await page.evaluate(`{
    const data = new DataTransfer();
    const bytes = Uint8Array.from(atob('${bytes.toString('base64')}'), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], ${JSON.stringify(name)}, { type: '${type}' }));
    const init = { dataTransfer: data, clipboardData: data, bubbles: true, cancelable: true };
    document.body.dispatchEvent(${how === 'drop' ? 'new DragEvent' : 'new ClipboardEvent'}('${how}', init));
  }`);
}

/** A file chosen as people choose one. */
export async function pick(page: Page, name: string, mimeType: string, buffer: Buffer): Promise<void> {
  await page.locator('input[type=file]').first().setInputFiles({ name, mimeType, buffer });
}

/** Waits until the server's page is about the file; it begins with a sample. */
export async function choose(page: Page, name: string, mimeType: string, buffer: Buffer): Promise<void> {
  await pick(page, name, mimeType, buffer);
  await page.getByRole('region', { name: `Answer to ${name}`, exact: true }).waitFor();
}

/** The five labels with their probabilities, as text. */
export async function bars(page: Page): Promise<string[]> {
  await page.locator('.bars').waitFor();
  const texts = await page.locator('.bars li').allInnerTexts();
  return texts.map((text) => text.replace(/\s+/g, ' '));
}

/** Has axe look at the page as it is. @throws if it finds a serious fault */
export async function assertAccessible(page: Page): Promise<void> {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe); // by the debugger, which no policy holds for
  const { violations, passes } = await page.evaluate<{ violations: Violation[]; passes: object[] }>(
    "axe.run({ resultTypes: ['violations'] })", // of what passes, one element each: naming all takes seconds
  );
  assert.ok(passes.length > 20, 'axe found nothing to look at');
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`);
  assert.deepEqual(told, []);
}

interface Violation {
  id: string;
  help: string;
  impact: string;
  nodes: { html: string }[];
}
