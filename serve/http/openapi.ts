/**
 * The OpenAPI 3.1 document, made from the routes' own list and the schemas that check their bodies, and a page that
 * shows it.
 */

import { fileURLToPath } from 'node:url';
import { Router } from 'express';
import helmet from 'helmet';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { toolVersion } from '../../base/tool-version.js';
import { ENCODINGS, ERRORS, type ErrorCode } from '../errors.js';
import { exampleOf } from './error-examples.js';
import type { Protocol, Route, RouteDoc } from './protocol.js';

type Schemas = Record<string, object>;
type Content = Record<string, z.ZodType | 'binary' | 'text'>;

/** The folder of this document, whatever a proxy puts before it. */
const HERE = '.';
/** Of X-Forwarded-Prefix: what a proxy strips from the front of paths. */
const PREFIX = /^(?:\/[\w.~%+-]+)+$/;

/** Every request may meet these. */
const ALWAYS: ErrorCode[] = ['HOST_NOT_ALLOWED', 'INTERNAL'];
/** Those with a body these too. */
const OF_BODIES: ErrorCode[] = ['UNSUPPORTED_ENCODING', 'UPLOAD_TIMEOUT', 'IN_FLIGHT_FULL'];

const CONTENT_ENCODING = {
  name: 'Content-Encoding',
  in: 'header',
  description: 'If the body is compressed; limits hold for what it becomes',
  required: false,
  schema: { type: 'string', enum: ENCODINGS },
};

export function openApiDocument(protocols: readonly Protocol[]): object {
  const schemas: Schemas = {};
  const paths: Record<string, Record<string, object>> = {};
  for (const protocol of protocols) {
    for (const route of protocol.routes) {
      const path = route.path.replace(/:(\w+)/g, '{$1}');
      paths[path] = { ...paths[path], [route.method]: operation(route, protocol, schemas) };
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'alexnet',
      version: toolVersion(),
      description: 'Images in, labels out. Every answer has an x-request-id: that of the request, or a new one.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: HERE }],
    tags: protocols.map(({ name, description }) => ({ name, description })),
    paths,
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  };
}

function operation({ method, path, doc }: Route, protocol: Protocol, schemas: Schemas): object {
  const codes = [...(doc.errors ?? []), ...(doc.body ? OF_BODIES : []), ...ALWAYS];
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, param]) => ({
      name: param,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries(doc.query ?? {}).map(([query, { description, schema }]) => ({
      name: query,
      in: 'query',
      description,
      schema: jsonSchema(schema, schemas),
    })),
    ...Object.entries(doc.headers ?? {}).map(([header, { description, required }]) => ({
      name: header,
      in: 'header',
      description,
      required: required ?? false,
      schema: { type: 'string' },
    })),
    ...(doc.body ? [CONTENT_ENCODING] : []),
  ];
  const others = Object.entries(doc.others ?? {}).map(([status, { description, schema }]) => [
    status,
    { description, content: content({ 'application/json': schema }, schemas) },
  ]);
  return {
    tags: [protocol.name],
    summary: doc.summary,
    operationId: `${method} ${path}`.replace(/\W+/g, '_').replace(/_$/, ''),
    ...(parameters.length > 0 && { parameters }),
    ...(doc.body && { requestBody: { required: !doc.guarded, content: content(doc.body, schemas) } }),
    ...(doc.guarded && { security: [{ token: [] }] }),
    responses: {
      200: { description: 'Done', ...(doc.answer && { content: content(doc.answer, schemas) }) },
      ...errorResponses(codes, protocol, doc, schemas),
      ...Object.fromEntries(others),
    },
  };
}

function errorResponses(
  codes: readonly ErrorCode[],
  { error, strictQuery }: Protocol,
  { query }: RouteDoc,
  schemas: Schemas,
): Record<string, object> {
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const some = codes.filter((code) => ERRORS[code].status === status);
      const description = [...new Set(some)].map((code) => `${code}: ${ERRORS[code].message}`).join('; ');
      const examples = Object.fromEntries(
        some
          .map((code) => exampleOf(code, strictQuery ? query : undefined))
          .map((one) => [one.code, { value: error.body(one, one.retryAfterS) }]),
      );
      const schema = jsonSchema(error.schema, schemas);
      return [status, { description, content: { 'application/json': { schema, examples } } }];
    }),
  );
}

function content(byType: Content, schemas: Schemas): Record<string, object> {
  return Object.fromEntries(
    Object.entries(byType).map(([type, schema]) => {
      if (schema === 'binary') return [type, {}];
      return [type, { schema: schema === 'text' ? { type: 'string' } : jsonSchema(schema, schemas) }];
    }),
  );
}

/** Schemas with an id become components that are referred to. */
function jsonSchema(schema: z.ZodType, schemas: Schemas): object {
  const { $schema, $defs, id, ...own } = z.toJSONSchema(schema, { io: 'input' }) as Record<string, unknown> & {
    $defs?: Schemas;
  };
  for (const [name, definition] of Object.entries($defs ?? {})) {
    schemas[name] = withComponentRefs(withoutKeys(definition));
  }
  const described = withComponentRefs(own);
  if (typeof id !== 'string') return described;
  schemas[id] = described;
  return { $ref: `#/components/schemas/${id}` };
}

function withoutKeys(definition: object): object {
  const { $schema, id, ...rest } = definition as Record<string, unknown>;
  return rest;
}

function withComponentRefs(definition: object): object {
  return JSON.parse(JSON.stringify(definition).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

const INDEX = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>alexnet: HTTP interface</title>
<link rel="icon" href="favicon.svg">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>.swagger-ui .opblock-tag { flex-wrap: wrap } .swagger-ui .opblock-tag small { min-width: 15rem }</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;
const START = `const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();
const url = new URL('openapi.json', location.href).href;
// Its menu of servers shows their addresses as they are written, and relative ones tell people nothing.
function responseInterceptor(response) {
  if (response.url !== url) return response;
  const document = JSON.parse(response.text);
  const servers = document.servers.map((server) => ({ url: new URL(server.url, url).href.replace(/\\/$/, '') }));
  response.text = JSON.stringify({ ...document, servers });
  return response;
}
SwaggerUIBundle({ url, dom_id: '#swagger-ui', responseInterceptor });
`;

/** Where the build puts Swagger UI. */
const ASSETS = fileURLToPath(new URL('../docs', import.meta.url));

/** `/openapi.json`, and Swagger UI at `/docs`, all from this machine. */
export function openApiPages(protocols: readonly Protocol[]): Router {
  const router = Router();
  const document = openApiDocument(protocols);
  // Kept, so that a client that asks many times and reads nothing makes no copies.
  const texts = new LRUCache<string, Buffer>({
    max: 8,
    memoMethod: (url) => Buffer.from(JSON.stringify({ ...document, servers: [{ url }] })),
  });
  router.get('/openapi.json', (request, response) => {
    const prefix = request.get('x-forwarded-prefix')?.replace(/\/$/, '') ?? '';
    response.type('json').send(texts.memo(PREFIX.test(prefix) ? prefix + request.baseUrl : HERE));
  });
  router.use(
    '/docs',
    helmet({
      contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': null } },
      strictTransportSecurity: false,
    }),
  );
  router.get('/docs', (request, response) => {
    // What it asks for is named from the folder that it lies in.
    if (request.path.endsWith('/')) response.redirect(308, '../docs');
    else response.type('html').send(INDEX);
  });
  router.get('/docs/start.js', (_request, response) => void response.type('js').send(START));
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
    router.get(`/docs/${file}`, (_request, response) => response.sendFile(file, { root: ASSETS, maxAge: '1d' }));
  }
  return router;
}
