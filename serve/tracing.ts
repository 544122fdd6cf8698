/**
 * OpenTelemetry's spans of requests and of what they wait for, through its API: nothing happens unless a program, or
 * `--traces`, has set up its SDK. W3C trace context is taken from requests and given back in `traceresponse`.
 */
import {
  context,
  isSpanContextValid,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { RequestHandler } from 'express';
import { toolVersion } from '../base/tool-version.js';
import type { Timings } from './metrics.js';
import type { ServedModel } from './served-model.js';

const tracer = () => trace.getTracer('alexnet', toolVersion());

/** A span for every request, which whatever it does is under. Names are routes as written in the code, never paths. */
export const traceRequests: RequestHandler = (request, response, next) => {
  const { method } = request;
  const parent = propagation.extract(context.active(), request.headers);
  const attributes = { 'http.request.method': method, 'url.path': request.path.slice(0, 200) };
  const span = tracer().startSpan(method, { kind: SpanKind.SERVER, attributes }, parent);
  const written = traceParentOf(span);
  if (written !== undefined) response.set('traceresponse', written);
  response.once('close', () => {
    const route = (request.route as { path?: string } | undefined)?.path;
    if (route !== undefined) span.updateName(`${method} ${route}`).setAttribute('http.route', route);
    if (response.headersSent) span.setAttribute('http.response.status_code', response.statusCode);
    if (!response.writableFinished) span.setAttribute('error.type', 'client_disconnected');
    if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  });
  context.with(trace.setSpan(parent, span), next);
};

/** As W3C writes it (w3.org/TR/trace-context). */
function traceParentOf(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (!isSpanContextValid(span.spanContext())) return undefined;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** Of the request that is being answered, for logs; none outside of one, or without an SDK. */
export function traceIds(): { trace_id?: string; span_id?: string } {
  const span = trace.getActiveSpan()?.spanContext();
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

/** Spans of what an image went through, in the order of time; measured where they happened. */
export function traceStages(
  { name, version }: Pick<ServedModel, 'name' | 'version'>,
  startedMs: number,
  timings: Timings,
): void {
  const attributes = { 'alexnet.model.name': name, 'alexnet.model.version': version };
  let at = performance.timeOrigin + startedMs;
  for (const stage of ['queue', 'decode', 'inference'] as const) {
    const span = tracer().startSpan(stage, { startTime: at, attributes });
    at += timings[stage];
    span.end(at);
  }
}
