import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { errorOf, obedient } from './running.js';

const { url } = await obedient();
const html = await (await fetch(`${url}/`)).text();
/** What the document asks for, before its scripts run. */
const named = [...html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map(([, path]) => path);

/** Every file of the page that is reachable by its name in another. */
async function bundle(): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const waiting = [...named];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue;
    const response = await fetch(`${url}/${path}`);
    assert.equal(response.status, 200, path);
    const bytes = Buffer.from(await response.arrayBuffer());
    files.set(path, bytes);
    if (!/\.(js|css)$/.test(path)) continue;
    const others = bytes.toString().matchAll(/(?:assets|\.)\/([\w-]+-[0-9A-Za-z]{8}\.\w+)/g);
    waiting.push(...[...others].map(([, file]) => `assets/${file}`));
  }
  return files;
}
const files = await bundle();

test('serves a document whose script, style and font have their hash in their names', () => {
  assert.match(html, /^<!doctype html>/);
  for (const extension of ['js', 'css', 'woff2']) {
    assert.ok(
      named.some((path) => new RegExp(`-[0-9A-Z]{8}\\.${extension}$`).test(path)),
      `${extension}: ${named}`,
    );
  }
  const kinds = [...files.keys()].map((path) => path.split('.').at(-1)!);
  assert.equal(kinds.filter((kind) => kind === 'png').length, 6, kinds.join()); // samples: drawings
  assert.equal(kinds.filter((kind) => kind === 'jpg').length, 3, kinds.join()); // and photographs
  assert.equal(kinds.filter((kind) => kind === 'woff2').length, 3, kinds.join());
});

test('is requested each time, and its assets once', async () => {
  const response = await fetch(`${url}/`);
  assert.equal(response.headers.get('cache-control'), 'no-cache');
  const again = (etag: string) =>
    fetch(`${url}/`, { headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' } });
  assert.equal((await again(response.headers.get('etag')!)).status, 304);
  assert.equal((await again('"other"')).status, 200);
  for (const path of files.keys()) {
    const { headers } = await fetch(`${url}/${path}`, { method: 'HEAD' });
    assert.equal(headers.get('cache-control'), 'public, max-age=31536000, immutable', path);
    assert.equal(Number(headers.get('content-length')), files.get(path)!.length, path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  }
});

test('has an icon, which browsers get by the name that they try on their own as well', async () => {
  const [, icon] = /<link rel="icon" href="([^"]+)">/.exec(html)!;
  const answers = await Promise.all(['/favicon.ico', `/${icon}`].map((path) => fetch(url + path)));
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers.get('content-type')]),
    [
      [200, 'image/svg+xml'],
      [200, 'image/svg+xml'],
    ],
  );
  assert.match(texts[0], /^<svg /);
  assert.equal(texts[0], texts[1]);
});

test('allows nothing inline and nothing from elsewhere', async () => {
  const { headers } = await fetch(`${url}/`);
  const policy = Object.fromEntries(
    headers
      .get('content-security-policy')!
      .split(';')
      .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
  );
  assert.deepEqual(policy, {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'font-src': "'self'",
    'img-src': "'self' blob: data:",
    'connect-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'self'",
    'require-trusted-types-for': "'script'",
  });
  assert.equal(headers.get('referrer-policy'), 'no-referrer');
  assert.doesNotMatch(html, /<style|\son\w+=|\sstyle=|<script(?![^>]* src=)/);
});

test('names no address elsewhere that a browser would ask by itself', () => {
  const allowed = [
    /^http:\/\/www\.w3\.org\//, // names of XML, never asked for
    /^https:\/\/wordnet-rdf\.princeton\.edu\/pwn30\/$/, // a link for people
    /^http:\/\/this-server\/classify/,
  ];
  for (const [path, bytes] of [['index.html', Buffer.from(html)] as const, ...files]) {
    if (!/\.(html|js|css)$/.test(path)) continue;
    for (const [address] of bytes.toString().matchAll(/\b(?:https?|wss?):\/\/[^\s"'`)$<]+/g))
      assert.ok(
        allowed.some((one) => one.test(address)),
        `${path}: ${address}`,
      );
    assert.doesNotMatch(bytes.toString(), /url\(["']?\/\/|src=["']\/\//, path);
  }
});

test('weighs less than 220 kB gzipped, with its fonts', () => {
  const sizes = [...files].map(([path, bytes]) => [path, gzipSync(bytes).length] as const);
  const bundled = sizes.filter(([path]) => !/\.(png|jpg)$/.test(path));
  const sum = (list: typeof sizes) => list.reduce((total, [, size]) => total + size, 0);
  assert.ok(sum(bundled) < 220_000, JSON.stringify(bundled));
  assert.ok(sum(bundled) > 50_000, 'the measure counts nothing'); // the check can fail
});

test('carries the licences of all it is made of', () => {
  const path = [...files.keys()].find((name) => /licences-\w{8}\.txt$/.test(name))!;
  const text = files.get(path)!.toString();
  for (const name of ['preact', 'uplot', '@dagrejs/dagre', '@fontsource/source-serif-4']) {
    assert.ok(text.includes(`\n${name}\n\n`) || text.startsWith(`${name}\n\n`), name);
  }
  assert.match(text, /SIL OPEN FONT LICENSE/);
});

test('answers 404 for assets that there are not, and for whatever lies next to them', async () => {
  for (const path of ['/assets/none.js', '/assets/', '/index.html', '/assets/..%2f..%2fserver.js', '/server.js']) {
    const error = await errorOf(fetch(url + path));
    assert.deepEqual([error.status, error.code], [404, 'NOT_FOUND'], path);
  }
});
