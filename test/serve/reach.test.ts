/** How the server is reached: from other sites' pages, by which host, through proxies, under a path, by a socket. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from '../../serve/server.js';
import { alexnet as alexnetInTurn } from '../real/shared-process.js';
import { order } from './images.js';
import { alexnet, errorOf, OBEDIENT, obedient, running, until } from './running.js';
import { strippingProxy } from './stripping-proxy.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-reach-'));
const SITE = 'https://example.org';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** `fetch` sends neither a Host of one's own nor over sockets. */
function ask(
  url: string | { socketPath: string; path: string },
  headers: Record<string, string> = {},
  method = 'GET',
  body?: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks).toString() });
      });
    };
    const options = { method, headers, agent: false };
    const asked = typeof url === 'string' ? request(url, options, answered) : request({ ...url, ...options }, answered);
    asked.on('error', reject);
    asked.end(body);
  });
}

const codeOf = ({ body }: Answer): string => JSON.parse(body).error.code;

const PREFLIGHT = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'content-type, traceparent',
};

test('answers pages of the origins in --cors-origin, preflights and errors included, and no other site’s', async () => {
  const { url } = await obedient({ corsOrigin: [SITE] });
  const preflight = await ask(`${url}/classify`, { origin: SITE, ...PREFLIGHT }, 'OPTIONS');
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], SITE);
  assert.match(preflight.headers['access-control-allow-methods']!, /\bPOST\b/);
  assert.match(preflight.headers['access-control-allow-headers']!, /traceparent/);
  assert.match(preflight.headers.vary!, /origin/i);
  for (const [body, status] of [
    [order('count'), 200],
    [Buffer.alloc(0), 400],
  ] as const) {
    const answer = await ask(`${url}/classify`, { origin: SITE }, 'POST', body);
    assert.equal(answer.status, status);
    assert.equal(answer.headers['access-control-allow-origin'], SITE);
    assert.match(answer.headers['access-control-expose-headers']!, /x-request-id.*traceresponse/);
    assert.equal(answer.headers['access-control-allow-credentials'], undefined);
  }
  for (const origin of ['https://evil.example', 'http://example.org', `${SITE}:8443`, 'null']) {
    const refused = await ask(`${url}/classify`, { origin, ...PREFLIGHT }, 'OPTIONS');
    assert.equal(refused.headers['access-control-allow-origin'], undefined, origin);
    assert.notEqual(refused.status, 204);
  }
});

test('answers every site’s pages with --cors-origin *, and none by default', async () => {
  const open = await obedient({ corsOrigin: ['*'] });
  const answer = await ask(`${open.url}/v2/health/live`, { origin: SITE });
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  const { url } = await obedient();
  assert.equal(
    (await ask(`${url}/v2/health/live`, { origin: SITE })).headers['access-control-allow-origin'],
    undefined,
  );
});

test('on a loopback address, refuses hosts that are neither local nor in --allowed-hosts', async () => {
  const { url } = await obedient();
  const statusFor = async (host: string, at = url) => (await ask(`${at}/v2/health/live`, { host })).status;
  for (const host of ['localhost', 'LOCALHOST:1234', '127.0.0.1:80', '[::1]:8080', 'app.localhost', 'localhost.'])
    assert.equal(await statusFor(host), 200, host);
  for (const host of ['evil.example', 'evil.example:8080', '127.0.0.1.evil.example', '192.168.1.2', 'localhost.evil'])
    assert.equal(await statusFor(host), 403, host);
  const rebound = await ask(`${url}/classify`, { host: 'evil.example', 'x-forwarded-host': 'localhost' }, 'POST');
  assert.equal(codeOf(rebound), 'HOST_NOT_ALLOWED');
  assert.match(rebound.body, /name it in allowedHosts \(--allowed-hosts\) if it should/);
  const named = await obedient({ allowedHosts: ['vision.example', '.example.org'], trustProxy: 'loopback' });
  for (const host of ['vision.example:80', 'example.org', 'a.b.example.org', '127.0.0.1'])
    assert.equal(await statusFor(host, named.url), 200, host);
  for (const host of ['other.example', 'notexample.org']) assert.equal(await statusFor(host, named.url), 403, host);
});

test('on every network, hosts are checked only if --allowed-hosts names some; the address itself is one', async () => {
  const any = await obedient({ host: '0.0.0.0' });
  const port = new URL(any.url).port;
  const at = `http://127.0.0.1:${port}/v2/health/live`;
  assert.equal((await ask(at, { host: 'vision.example' })).status, 200);
  const { url } = await obedient({ host: '0.0.0.0', allowedHosts: ['vision.example'] });
  const named = `http://127.0.0.1:${new URL(url).port}/v2/health/live`;
  assert.equal((await ask(named, { host: 'other.example' })).status, 403);
  assert.equal((await ask(named)).status, 200);
});

test('the log names the client in front of trusted proxies, and of others the proxy', async () => {
  const clientOf = async (trustProxy: number | string | undefined, forwarded: string) => {
    const clients: string[] = [];
    const log = (_line: string, _level?: string, fields: { client?: string } = {}) => {
      if (fields.client) clients.push(fields.client);
    };
    const { url } = await obedient({ trustProxy, logRequests: true, log });
    await ask(`${url}/v2/health/live`, { 'x-forwarded-for': forwarded });
    await ask(`${url}/v2/health/live`); // the line of the first is written by then
    return clients[0];
  };
  assert.equal(await clientOf(undefined, '203.0.113.7'), '127.0.0.1');
  assert.equal(await clientOf(1, '198.51.100.1, 203.0.113.7'), '203.0.113.7');
  assert.equal(await clientOf('loopback, 203.0.113.0/24', '198.51.100.1, 203.0.113.7'), '198.51.100.1');
  assert.equal(await clientOf('10.0.0.1', '203.0.113.7'), '127.0.0.1');
});

test('the log names a client that left before its answer', async () => {
  const lines: { status?: number; client?: string }[] = [];
  const { url } = await obedient({ logRequests: true, log: (_line, _level, fields = {}) => lines.push(fields) });
  const leaving = request(`${url}/classify`, { method: 'POST', headers: { 'content-length': 100 }, agent: false });
  leaving.on('error', () => undefined);
  leaving.write('half of it', () => leaving.destroy());
  const line = () => lines.find(({ status }) => status === 499);
  await until(() => line() !== undefined);
  assert.equal(line()?.client, '127.0.0.1');
});

test('answers every route under --base-path, the page included, and nothing outside it', async () => {
  const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), basePath: '/vision/v1/' });
  assert.match(url, /\/vision\/v1$/);
  const root = new URL('/', url).href;
  for (const path of ['classify', 'v2/health/live', 'openapi.json'])
    assert.deepEqual(await errorOf(fetch(root + path)), {
      status: 404,
      code: 'NOT_FOUND',
      message: 'no such route; send an image to POST /vision/v1/classify',
    });
  const found = await fetch(url);
  assert.equal(found.url, `${url}/`);
  const page = await found.text();
  const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, address]) => new URL(address, found.url).href,
  );
  addresses.push(`${url}/docs`, `${url}/docs/start.js`, `${url}/v2/health/ready`, `${url}/metrics`);
  for (const address of addresses.filter((text) => !text.startsWith('data:'))) {
    assert.equal((await fetch(address)).status, 200, address);
  }
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as { servers: { url: string }[] };
  assert.equal(new URL(document.servers[0].url, `${url}/openapi.json`).href, `${url}/`);
  assert.deepEqual(await errorOf(fetch(`${url}/v2/none`).then(protocolError)), { status: 404 });
  assert.match(await (await fetch(`${url}/metrics`)).text(), /route="\/v2\/health\/ready"/);
});

test('under --base-path and behind a proxy that strips a prefix, the page’s address and the document hold', async () => {
  const { url } = await obedient({ basePath: '/vision' });
  const proxied = await strippingProxy(new URL(url).origin, '/outer', { 'x-forwarded-prefix': '/outer' });
  const redirect = await fetch(`${proxied}/vision`, { redirect: 'manual' });
  assert.equal(new URL(redirect.headers.get('location')!, `${proxied}/vision`).href, `${proxied}/vision/`);
  const document = (await (await fetch(`${proxied}/vision/openapi.json`)).json()) as { servers: { url: string }[] };
  assert.equal(document.servers[0].url, '/outer/vision');
});

async function protocolError(response: Response): Promise<Response> {
  assert.equal(typeof ((await response.json()) as { error: string }).error, 'string');
  return new Response('{"error":{}}', { status: response.status });
}

test('listens on a Unix socket, whose file goes when the server stops', async () => {
  const socket = join(folder, 'a.sock');
  const { url, server } = await obedient({ socket });
  assert.equal(url, `unix:${socket}:`);
  const sent = await ask({ socketPath: socket, path: '/classify' }, { host: 'anything' }, 'POST', order('count'));
  assert.equal(sent.status, 200);
  await server.stop();
  assert.equal(existsSync(socket), false);
});

test('takes the place of a socket that a killed server left, but of nothing else', async () => {
  const socket = join(folder, 'b.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.ok(existsSync(socket));
  const { server } = await obedient({ socket });
  const second = createServer({ files: ['none'], inferenceModule: OBEDIENT, socket });
  await assert.rejects(second.start(), /another server listens on it/);
  second.kill();
  assert.equal((await ask({ socketPath: socket, path: '/v2/health/live' })).status, 200);
  await server.stop();
  const file = join(folder, 'text');
  writeFileSync(file, 'keep');
  const third = createServer({ files: ['none'], inferenceModule: OBEDIENT, socket: file });
  await assert.rejects(third.start(), /no socket/);
  third.kill();
  assert.ok(existsSync(file));
  const lost = createServer({ files: ['none'], inferenceModule: OBEDIENT, socket: join(folder, 'none', 'd.sock') });
  await assert.rejects(lost.start(), /there is no folder .*none; make it first/);
  lost.kill();
});

test('leaves a socket file that has since become another server’s', async () => {
  const socket = join(folder, 'c.sock');
  const { server } = await obedient({ socket });
  spawnSync('rm', [socket]);
  const other = createSocketServer();
  await new Promise<void>((resolve) => void other.listen(socket, resolve));
  await server.stop();
  assert.ok(existsSync(socket));
  other.close();
});

test('refuses what cannot be an origin, host, proxy or path as wrong usage', async () => {
  const refusals: [string[], RegExp][] = [
    [['--cors-origin', 'example.org'], /expected \* or an origin such as/],
    [['--cors-origin', 'https://example.org/app'], /expected \* or an origin such as/],
    [['--allowed-hosts', 'example.org:8080'], /expected a host without a port/],
    [['--trust-proxy', 'nobody'], /expected the number of proxies/],
    [['--base-path', 'vision'], /expected a path such as \/vision/],
    [['--base-path', '/../x'], /expected a path such as \/vision/],
    [['--socket', join(folder, 'x.sock'), '--port', '1'], /cannot be used with/],
    [['--socket', ''], /--socket: expected the path of a socket, got ""/],
    [['--host', ''], /--host: expected an address, such as 127\.0\.0\.1, got ""/], // not every network
  ];
  for (const [words, message] of refusals) {
    const { code, stderr } = await alexnetInTurn('serve', '--model', 'none.onnx', ...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(stderr, message);
  }
});

test('a server ended by a signal leaves no socket', async () => {
  const socket = join(folder, 'd.sock');
  const file = writeTinyModel(join(folder, 'd.onnx'));
  const { process: child, line, ended } = alexnet('serve', '--model', file, '--socket', socket, '--provider', 'cpu');
  assert.equal(JSON.parse(await line).url, `unix:${socket}:`);
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.equal(existsSync(socket), false);
});
