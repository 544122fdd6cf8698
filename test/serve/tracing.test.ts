/** OpenTelemetry traces of requests, sent by OTLP to a collector of the test's own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { corner } from './images.js';
import { CLI, post, start, until } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-tracing-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const image = await corner(2).png().toBuffer();

interface SentSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: object }[];
}

const spans: SentSpan[] = [];
const services = new Set<string>();
const refused: string[] = [];
const collector = createServer((request, response) => {
  if (request.url !== '/v1/traces') {
    refused.push(request.url!);
    request.resume();
    response.writeHead(401).end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString());
    for (const { resource, scopeSpans } of resourceSpans) {
      services.add(JSON.stringify(resource.attributes));
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
});
await new Promise<void>((resolve) => void collector.listen(0, '127.0.0.1', resolve));
after(() => collector.close());
const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '50' };
const serveWith = (more: NodeJS.ProcessEnv, ...words: string[]) =>
  start(process.execPath, [CLI, 'serve', '--model', file, '--provider', 'cpu', '--port', '0', ...words], {
    env: { ...env, ...more },
  });
const serve = (...words: string[]) => serveWith({}, ...words);

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

test('--traces sends queue, decode and inference as spans of the request, in the client’s trace; logs carry its ids', async () => {
  const server = serve('--traces', '--log', 'json');
  const { url } = JSON.parse(await server.line);
  const response = await post(url, image, { traceparent: `00-${TRACE}-${PARENT}-01` });
  assert.equal(response.status, 200);
  const [, trace, span] = /^00-(\w{32})-(\w{16})-01$/.exec(response.headers.get('traceresponse')!)!;
  assert.equal(trace, TRACE);
  await until(() => spans.some(({ name }) => name === 'POST /classify'));
  const own = spans.filter(({ traceId }) => traceId === TRACE);
  const root = own.find(({ name }) => name === 'POST /classify')!;
  assert.deepEqual([root.spanId, root.parentSpanId], [span, PARENT]);
  const stages = ['queue', 'decode', 'inference'].map((name) => own.find((one) => one.name === name)!);
  for (const [i, stage] of stages.entries()) {
    assert.equal(stage.parentSpanId, span);
    assert.ok(BigInt(stage.endTimeUnixNano) >= BigInt(stage.startTimeUnixNano));
    if (i > 0) assert.equal(stage.startTimeUnixNano, stages[i - 1].endTimeUnixNano);
  }
  assert.match([...services][0], /"service\.name","value":\{"stringValue":"alexnet"\}/);
  const fresh = await post(url, image);
  assert.notEqual(fresh.headers.get('traceresponse')!.slice(3, 35), TRACE);
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  const lines = server
    .stderr()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const logged = lines.find(({ path }) => path === '/classify');
  assert.deepEqual([logged.trace_id, logged.span_id], [TRACE, span]);
});

test('the service is called what OTEL_RESOURCE_ATTRIBUTES says, and spans that cannot be sent are logged once', async () => {
  const named = serveWith({ OTEL_RESOURCE_ATTRIBUTES: 'service.name=eyes' }, '--traces');
  await post(JSON.parse(await named.line).url as string, image);
  await until(() => [...services].some((service) => service.includes('"stringValue":"eyes"')));
  named.process.kill('SIGTERM');
  const lost = serveWith({ OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/wrong` }, '--traces');
  const { url } = JSON.parse(await lost.line);
  const complaints = () => lost.stderr().match(/^--traces: .*/gm) ?? [];
  await post(url, image);
  await until(() => complaints().length > 0);
  const sent = refused.length;
  await post(url, image);
  await until(() => refused.length > sent);
  lost.process.kill('SIGTERM');
  assert.equal(await lost.ended, 0);
  assert.equal(complaints().length, 1, lost.stderr());
  assert.doesNotMatch(complaints()[0]!, /stack/);
});

test('OTEL_SDK_DISABLED turns traces off, and the log says so', async () => {
  const server = serveWith({ OTEL_SDK_DISABLED: 'true' }, '--traces');
  const response = await post(JSON.parse(await server.line).url, image);
  assert.equal(response.headers.get('traceresponse'), null);
  assert.match(server.stderr(), /^--traces: no traces are sent: OTEL_SDK_DISABLED is true$/m);
  server.process.kill('SIGTERM');
});

test('nothing is traced by default, whatever the request says', async () => {
  const before = spans.length;
  const server = serve('--log', 'json');
  const { url } = JSON.parse(await server.line);
  const response = await post(url, image, { traceparent: `00-${TRACE}-${PARENT}-01` });
  assert.equal(response.headers.get('traceresponse'), null);
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  assert.equal(spans.length, before);
  assert.doesNotMatch(server.stderr(), /trace_id/);
});
