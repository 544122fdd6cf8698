import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { corner } from './images.js';
import { running } from './running.js';
import { strippingProxy } from './stripping-proxy.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-openapi-'));
after(() => rmSync(folder, { recursive: true }));
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')) });

interface Operation {
  requestBody?: { content: Record<string, object> };
  responses: Record<string, { content?: Record<string, Content> }>;
}
interface Content {
  schema?: object;
  examples?: Record<string, { value: object }>;
}
const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
  openapi: string;
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
};

test('describes every route of every protocol', () => {
  assert.equal(document.openapi, '3.1.0');
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(routes.sort(), [
    'GET /explain/graph',
    'GET /explain/kernels',
    'GET /explain/labels',
    'GET /explain/layers',
    'GET /explain/metadata',
    'GET /explain/stats',
    'GET /explain/strongest',
    'GET /metrics',
    'GET /models',
    'GET /models/{model}',
    'GET /models/{model}/{version}',
    'GET /ping',
    'GET /v2',
    'GET /v2/health/live',
    'GET /v2/health/ready',
    'GET /v2/models',
    'GET /v2/models/stats',
    'GET /v2/models/{model}',
    'GET /v2/models/{model}/config',
    'GET /v2/models/{model}/ready',
    'GET /v2/models/{model}/stats',
    'GET /v2/models/{model}/versions/{version}',
    'GET /v2/models/{model}/versions/{version}/config',
    'GET /v2/models/{model}/versions/{version}/ready',
    'GET /v2/models/{model}/versions/{version}/stats',
    'POST /',
    'POST /classify',
    'POST /classify/batch',
    'POST /explain/activations',
    'POST /explain/lrn',
    'POST /explain/neighbours',
    'POST /explain/occlusion',
    'POST /explain/picture',
    'POST /models/{model}',
    'POST /predictions/{model}',
    'POST /predictions/{model}/{version}',
    'POST /v2/models/{model}/infer',
    'POST /v2/models/{model}/versions/{version}/infer',
    'POST /v2/repository/index',
    'POST /v2/repository/models/{model}/load',
    'POST /v2/repository/models/{model}/unload',
    'PUT /predictions/{model}',
    'PUT /predictions/{model}/{version}',
  ]);
});

test('refers only to schemas that it holds', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference);
  assert.ok(references.length > 10);
  for (const reference of references) {
    assert.match(reference, /^#\/components\/schemas\/\w+$/);
    assert.ok(document.components.schemas[reference.split('/').at(-1)!], reference);
  }
});

/** Whether a value has the form that a schema of the document describes: the keywords used here. */
function fits(value: unknown, schema: Record<string, unknown>): boolean {
  if (typeof schema.$ref === 'string')
    return fits(value, document.components.schemas[schema.$ref.split('/').at(-1)!] as Record<string, unknown>);
  if (Array.isArray(schema.anyOf)) return schema.anyOf.some((one) => fits(value, one));
  if (Array.isArray(schema.type)) return schema.type.some((type) => fits(value, { ...schema, type }));
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return false;
  if (schema.type === 'object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const properties = (schema.properties ?? {}) as Record<string, Record<string, unknown>>;
    const required = (schema.required ?? []) as string[];
    const extra = schema.additionalProperties;
    return (
      required.every((key) => key in value) &&
      Object.entries(value).every(([key, part]) => {
        if (properties[key]) return fits(part, properties[key]);
        return typeof extra === 'object' ? fits(part, extra as Record<string, unknown>) : extra !== false;
      })
    );
  }
  if (schema.type === 'array')
    return Array.isArray(value) && value.every((part) => fits(part, (schema.items ?? {}) as Record<string, unknown>));
  if (schema.type === 'null') return value === null;
  if (schema.type === 'integer') return Number.isInteger(value);
  return schema.type === undefined || typeof value === schema.type;
}

test('its answers and errors have the forms it describes', async () => {
  const image = new Uint8Array(await corner(1).png().toBuffer());
  const none = new Uint8Array();
  const requests: [string, string, string, Uint8Array | undefined][] = [
    ['post', '/classify', '/classify', image],
    ['post', '/classify', '/classify?by_crop=true', image],
    ['post', '/classify', '/classify', none],
    ['get', '/explain/labels', '/explain/labels', undefined],
    ['get', '/explain/layers', '/explain/layers', undefined],
    ['get', '/explain/graph', '/explain/graph', undefined],
    ['get', '/explain/metadata', '/explain/metadata', undefined],
    ['get', '/explain/stats', '/explain/stats', undefined],
    ['post', '/explain/lrn', '/explain/lrn?layer=logits', image],
    ['post', '/explain/neighbours', '/explain/neighbours?k=0', image],
    ['post', '/classify', '/classify?top=0', image],
    ['get', '/ping', '/ping', undefined],
    ['get', '/v2', '/v2', undefined],
    ['get', '/v2/health/live', '/v2/health/live', undefined],
    ['get', '/v2/health/ready', '/v2/health/ready', undefined],
    ['get', '/v2/models', '/v2/models', undefined],
    ['get', '/v2/models/{model}', '/v2/models/quarters', undefined],
    ['get', '/v2/models/{model}', '/v2/models/nobody', undefined],
    ['get', '/v2/models/{model}/ready', '/v2/models/quarters/ready', undefined],
    ['post', '/models/{model}', '/models/quarters', image],
    ['post', '/models/{model}', '/models/quarters', none],
    ['post', '/predictions/{model}', '/predictions/quarters', image],
    ['put', '/predictions/{model}', '/predictions/nobody', image],
    ['post', '/v2/repository/index', '/v2/repository/index', undefined],
    ['post', '/v2/models/{model}/infer', '/v2/models/quarters/infer', new TextEncoder().encode('{}')],
    [
      'post',
      '/v2/models/{model}/infer',
      '/v2/models/quarters/infer',
      new TextEncoder().encode(
        JSON.stringify({
          inputs: [{ name: 'image', shape: [1, 8, 8, 3], datatype: 'UINT8', data: Array(192).fill(1) }],
        }),
      ),
    ],
    ['post', '/v2/repository/models/{model}/load', '/v2/repository/models/quarters/load', undefined],
  ];
  for (const [method, path, target, body] of requests) {
    const response = await fetch(url + target, { method: method.toUpperCase(), body: body as RequestInit['body'] });
    const described = document.paths[path][method].responses[response.status];
    assert.ok(described, `${method} ${target}: ${response.status} is not described`);
    const schema = described.content?.['application/json']?.schema;
    const answer = await response.json();
    assert.ok(schema && fits(answer, schema as Record<string, unknown>), `${target}: ${JSON.stringify(answer)}`);
  }
  const numbers = { predictions: [], model: { name: 'a', version: 1 }, crops: 1, timings_ms: {} };
  // the check can fail
  assert.ok(!fits(numbers, document.components.schemas.ClassifyAnswer as Record<string, unknown>));
});

test('begins with /classify, and shows of errors what the server says', async () => {
  assert.deepEqual(Object.keys(document.paths).slice(0, 2), ['/classify', '/classify/batch']);
  const image = await corner(1).jpeg().toBuffer();
  const form = (end = '--x--') =>
    new Blob([`--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n${end}`], {
      type: 'multipart/form-data; boundary=x',
    });
  const large = sharp({ create: { width: 8000, height: 8000, channels: 3, background: '#fff' } });
  const requests: [string, string, string, Uint8Array | Blob][] = [
    ['/classify', '', 'EMPTY_BODY', new Uint8Array()],
    ['/classify', '?top=0', 'INVALID_TOP', image],
    ['/classify', '?topp=3', 'BAD_REQUEST', image],
    ['/classify', '?model=none', 'MODEL_NOT_FOUND', image],
    ['/classify', '', 'UNSUPPORTED_IMAGE_TYPE', Buffer.from('%PDF-1.4 and more')],
    ['/classify', '', 'INVALID_IMAGE', image.subarray(0, -20)],
    ['/classify', '', 'IMAGE_TOO_LARGE', Buffer.alloc(20_000_001)],
    ['/classify', '', 'IMAGE_TOO_MANY_PIXELS', await large.png().toBuffer()],
    ['/classify', '', 'BAD_FORM', form('')],
    ['/classify', '', 'IMAGE_FIELD_MISSING', form()],
    ['/models/{model}', '', 'EMPTY_BODY', new Uint8Array()],
    ['/predictions/{model}', '', 'EMPTY_BODY', new Uint8Array()],
  ];
  // Of this server and this request: numbers, and what is quoted.
  const plain = (value: unknown) => JSON.stringify(value).replaceAll(/\d+|\\"[^"]*"/g, '…');
  for (const [path, query, code, body] of requests) {
    const response = await fetch(url + path.replace('{model}', 'quarters') + query, {
      method: 'POST',
      body: body as RequestInit['body'],
    });
    const content = document.paths[path].post.responses[response.status].content!['application/json'];
    assert.equal(plain(await response.json()), plain(content.examples![code].value), `${path}${query} ${code}`);
  }
});

/** What the page at `address` is made of, as a browser asks for it. */
async function partsOfPage(address: string): Promise<void> {
  const response = await fetch(address);
  assert.equal(response.status, 200);
  const html = await response.text();
  const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part);
  assert.equal(parts.length, 4);
  for (const part of parts) {
    const asset = await fetch(new URL(part, response.url));
    assert.equal(asset.status, 200, part);
    assert.ok((await asset.text()).length > 50);
  }
}

test('serves a page that shows it, with the headers of a page and everything from this machine', async () => {
  const response = await fetch(`${url}/docs`);
  assert.match(response.headers.get('content-type')!, /^text\/html/);
  assert.match(response.headers.get('content-security-policy')!, /script-src 'self'/);
  assert.equal(response.headers.get('x-frame-options'), 'SAMEORIGIN');
  await partsOfPage(`${url}/docs`);
  await partsOfPage(`${url}/docs/`); // where browsers complete it so
});

test('is right behind a proxy that strips a prefix: pages, and the address that clients are told', async () => {
  const plain = await strippingProxy(url, '/vision/alexnet');
  for (const address of [`${plain}/docs`, `${plain}/docs/`]) await partsOfPage(address);
  const told = async (base: string, headers?: Record<string, string>) => {
    const { servers } = (await (await fetch(`${base}/openapi.json`, { headers })).json()) as typeof document;
    assert.equal(servers.length, 1);
    return servers[0].url;
  };
  // Relative addresses are of the document (OpenAPI 3.1, Server Object).
  assert.equal(new URL(await told(plain), `${plain}/openapi.json`).href, `${plain}/`);
  assert.equal(new URL(await told(url), `${url}/openapi.json`).href, `${url}/`);
  const saying = await strippingProxy(url, '/vision', { 'x-forwarded-prefix': '/vision/' });
  assert.equal(await told(saying), '/vision');
  for (const prefix of ['//evil.example', 'https://evil.example/', '/a b', '/<script>', ''])
    assert.equal(await told(url, { 'x-forwarded-prefix': prefix }), '.', prefix);
});
