/**
 * What the server counts, for Prometheus: HTTP requests in base units, the line of images, and inference under Triton's
 * names (`nv_inference_*`), so that its dashboards and autoscalers work here too. Labels are bounded: routes as written
 * in the code, never paths.
 */
import type { RequestHandler } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { PROVIDERS, type Provider } from '../onnx/backend/provider.js';
import { type ErrorCode, RequestError } from './errors.js';
import type { ServedModel } from './served-model.js';

/** What an image's answer says besides its classes, milliseconds. */
export interface Timings {
  queue: number;
  decode: number;
  inference: number;
  total: number;
}

/** What is asked for when Prometheus reads. */
export interface MetricsSource {
  /** Requests that a client waits for. */
  pending(): number;
  /** An inference process takes images. */
  up(): boolean;
  /** Versions that could not be loaded. */
  leftOut(): { name: string; version: string }[];
  /** Of request bodies. */
  bytesInFlight(): number;
  maxInFlight: number;
}

/** Status of a request whose client left before the answer, as nginx counts it. */
const CLIENT_GONE = 499;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** Triton's reasons by our codes; the others are OTHER. */
const REASONS: Partial<Record<ErrorCode, string>> = {
  QUEUE_FULL: 'REJECTED',
  SHUTTING_DOWN: 'REJECTED',
  DEADLINE_EXCEEDED: 'CANCELED',
  BAD_REQUEST: 'CANCELED',
  INFERENCE_FAILED: 'BACKEND',
};

const OF_MODEL = ['model', 'version'] as const;
type OfModel = Record<(typeof OF_MODEL)[number], string>;

export class Metrics {
  private readonly registers = [new Registry()];
  private readonly requests = new Counter({
    name: 'http_requests_total',
    help: 'HTTP requests answered; status 499 if the client left first',
    labelNames: ['method', 'route', 'status'],
    registers: this.registers,
  });
  private readonly duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request line to the end of the answer',
    labelNames: ['method', 'route'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: this.registers,
  });
  private readonly moved = new Counter({
    name: 'alexnet_json_off_loop_total',
    help: 'Times large JSON was read or written by a thread of its own',
    registers: this.registers,
  });
  private readonly restarts = new Counter({
    name: 'alexnet_inference_process_deaths_total',
    help: 'Times an inference process or a helper ended unexpectedly',
    registers: this.registers,
  });
  private readonly loaded = new Gauge({
    name: 'alexnet_model_info',
    help: 'The model that answers and what computes it; always 1',
    labelNames: [...OF_MODEL, 'provider'],
    registers: this.registers,
  });
  private readonly success = this.perModel('nv_inference_request_success', 'Requests answered by the model');
  private readonly failure = new Counter({
    name: 'nv_inference_request_failure',
    help: 'Requests the model did not answer, by reason',
    labelNames: [...OF_MODEL, 'reason'],
    registers: this.registers,
  });
  private readonly inferences = this.perModel('nv_inference_count', 'Images and tensors that went through the model');
  private readonly executions = this.perModel('nv_inference_exec_count', 'Runs of the model');
  private readonly durations = {
    total: this.perModel('nv_inference_request_duration_us', 'Microseconds from the complete request to its answer'),
    queue: this.perModel('nv_inference_queue_duration_us', 'Microseconds of waiting'),
    decode: this.perModel('nv_inference_compute_input_duration_us', 'Microseconds of decoding'),
    inference: this.perModel('nv_inference_compute_infer_duration_us', 'Microseconds of inference'),
  };
  private readonly hits = this.perModel('nv_cache_num_hits_per_model', 'Images answered from the cache');
  private readonly misses = this.perModel('nv_cache_num_misses_per_model', 'Images not found in the cache');

  constructor(source: MetricsSource) {
    const [register] = this.registers;
    collectDefaultMetrics({ register });
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers: this.registers,
        collect() {
          this.set(value());
        },
      });
    gauge('alexnet_inference_up', '1 while the inference process takes images', () => Number(source.up()));
    new Gauge({
      name: 'alexnet_model_left_out',
      help: 'A model that could not be loaded; always 1',
      labelNames: OF_MODEL,
      registers: this.registers,
      collect() {
        this.reset();
        for (const { name, version } of source.leftOut()) this.set({ model: name, version }, 1);
      },
    });
    gauge('alexnet_request_bytes_in_flight', 'Bytes of request bodies that the server holds', () =>
      source.bytesInFlight(),
    );
    gauge('alexnet_request_bytes_limit', 'Above it requests are refused with 503', () => source.maxInFlight);
    gauge('nv_inference_pending_request_count', 'Requests that a client waits for', () => source.pending());
  }

  /** Prometheus' text format. */
  async text(): Promise<{ type: string; body: string }> {
    const [register] = this.registers;
    return { type: register.contentType, body: await register.metrics() };
  }

  /** Counters of one model; they only rise. Durations in microseconds. */
  async ofModel({ name, version }: ServedModel) {
    const sum = async (counter: Counter) =>
      (await counter.get()).values
        .filter(({ labels }) => labels.model === name && labels.version === version)
        .reduce((total, { value }) => total + value, 0);
    return {
      answered: await sum(this.success),
      failed: await sum(this.failure),
      runs: await sum(this.executions),
      cache_hits: await sum(this.hits),
      cache_misses: await sum(this.misses),
      total_us: await sum(this.durations.total),
      queue_us: await sum(this.durations.queue),
      decode_us: await sum(this.durations.decode),
      inference_us: await sum(this.durations.inference),
    };
  }

  /** How long posts to a route took: cumulative buckets up to `le` seconds, null for all. */
  async latency(route: string) {
    const { values } = await this.duration.get();
    const own = values.filter(({ labels }) => labels.route === route && labels.method === 'POST');
    const of = (suffix: string) => own.filter(({ metricName }) => metricName?.endsWith(suffix));
    return {
      route,
      count: of('_count')[0]?.value ?? 0,
      sum_s: of('_sum')[0]?.value ?? 0,
      buckets: of('_bucket').map(({ labels, value: count }) => {
        const { le } = labels as { le?: number | string };
        return { le: typeof le === 'number' ? le : null, count };
      }),
    };
  }

  /** Counts every request that passes. */
  readonly observe: RequestHandler = (request, response, next) => {
    const start = performance.now();
    response.once('close', () => {
      const method = METHODS.has(request.method) ? request.method : 'other';
      // Without what the routes are mounted under.
      const route = (request.route as { path?: string } | undefined)?.path ?? 'other';
      const status = response.writableFinished ? response.statusCode : CLIENT_GONE;
      this.requests.inc({ method, route, status });
      this.duration.observe({ method, route }, (performance.now() - start) / 1000);
    });
    next();
  };

  modelLoaded(model: ServedModel, provider: Provider): void {
    const labels = labelsOf(model);
    this.modelUnloaded(model.name, model.version); // on another provider, perhaps
    this.loaded.set({ ...labels, provider }, 1);
    // There from the start, so that a rate is known before the first image.
    const counters = [this.success, this.inferences, this.executions, ...Object.values(this.durations)];
    for (const counter of counters) counter.inc(labels, 0);
  }

  modelUnloaded(model: string, version: string): void {
    for (const provider of PROVIDERS) this.loaded.remove({ model, version, provider });
  }

  jsonMoved(): void {
    this.moved.inc();
  }

  processDied(): void {
    this.restarts.inc();
  }

  /** @param runs  1 for the first of the requests that shared a run of the model, else 0 */
  inferred(model: ServedModel, timings: Timings, runs: number): void {
    const labels = labelsOf(model);
    this.success.inc(labels);
    this.inferences.inc(labels);
    this.executions.inc(labels, runs);
    for (const part of Object.keys(this.durations) as (keyof Timings)[])
      this.durations[part].inc(labels, Math.round(timings[part] * 1000));
  }

  failed(model: ServedModel, error: unknown): void {
    const code = error instanceof RequestError ? error.code : 'INTERNAL';
    this.failure.inc({ ...labelsOf(model), reason: REASONS[code] ?? 'OTHER' });
  }

  cacheHit(model: ServedModel, ms: number): void {
    const labels = labelsOf(model);
    this.hits.inc(labels);
    this.success.inc(labels);
    this.durations.total.inc(labels, Math.round(ms * 1000));
  }

  cacheMiss(model: ServedModel): void {
    this.misses.inc(labelsOf(model));
  }

  private perModel(name: string, help: string): Counter<'model' | 'version'> {
    return new Counter({ name, help, labelNames: OF_MODEL, registers: this.registers });
  }
}

function labelsOf({ name, version }: ServedModel): OfModel {
  return { model: name, version };
}
