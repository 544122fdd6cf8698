/**
 * What the server counts, for Prometheus: HTTP requests in base units, the line of pictures, and inference under Triton's names
 * (`nv_inference_*`), so that its dashboards and autoscalers work here too. Labels are bounded: routes as written in the code, never paths.
 */
import type { RequestHandler } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type ErrorCode, RequestError } from './errors.js';
import type { Answer } from './hosting/request-queue.js';
import type { ServedModel } from './served-model.js';

/** What is asked for when Prometheus reads. */
export interface MetricsSource {
  /** Pictures that somebody waits for. */
  pending(): number;
  /** The inference process takes pictures. */
  up(): boolean;
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
    help: 'HTTP requests answered; status 499 where the client left first',
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
  private readonly restarts = new Counter({
    name: 'alexnet_inference_process_deaths_total',
    help: 'Times the inference process ended unexpectedly',
    registers: this.registers,
  });
  private readonly loaded = new Gauge({
    name: 'alexnet_model_info',
    help: 'The model that answers and what computes it; always 1',
    labelNames: [...OF_MODEL, 'provider'],
    registers: this.registers,
  });
  private readonly success = this.perModel('nv_inference_request_success', 'Pictures classified');
  private readonly failure = new Counter({
    name: 'nv_inference_request_failure',
    help: 'Pictures not classified, by reason',
    labelNames: [...OF_MODEL, 'reason'],
    registers: this.registers,
  });
  private readonly inferences = this.perModel('nv_inference_count', 'Pictures that went through the model');
  private readonly executions = this.perModel('nv_inference_exec_count', 'Runs of the model');
  private readonly durations = {
    request: this.perModel('nv_inference_request_duration_us', 'Microseconds from the complete picture to its answer'),
    queue: this.perModel('nv_inference_queue_duration_us', 'Microseconds of waiting'),
    compute_input: this.perModel('nv_inference_compute_input_duration_us', 'Microseconds of decoding'),
    compute_infer: this.perModel('nv_inference_compute_infer_duration_us', 'Microseconds of inference'),
  };
  private model: OfModel = { model: '', version: '' };

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
    gauge('alexnet_inference_up', '1 while the inference process takes pictures', () => Number(source.up()));
    gauge('nv_inference_pending_request_count', 'Pictures that somebody waits for', () => source.pending());
  }

  /** Prometheus' text format. */
  async text(): Promise<{ type: string; body: string }> {
    const [register] = this.registers;
    return { type: register.contentType, body: await register.metrics() };
  }

  /** Counts every request that passes. */
  readonly observe: RequestHandler = (request, response, next) => {
    const start = performance.now();
    response.once('close', () => {
      const method = METHODS.has(request.method) ? request.method : 'other';
      const path = (request.route as { path?: string } | undefined)?.path;
      const route = path === undefined ? 'other' : `${request.baseUrl}${path}`;
      const status = response.writableFinished ? response.statusCode : CLIENT_GONE;
      this.requests.inc({ method, route, status });
      this.duration.observe({ method, route }, (performance.now() - start) / 1000);
    });
    next();
  };

  modelLoaded({ name, version }: ServedModel, provider: string): void {
    this.model = { model: name, version };
    this.loaded.reset();
    this.loaded.set({ ...this.model, provider }, 1);
    // There from the start, so that a rate is known before the first picture.
    const counters = [this.success, this.inferences, this.executions, ...Object.values(this.durations)];
    for (const counter of counters) counter.inc(this.model, 0);
  }

  processDied(): void {
    this.restarts.inc();
  }

  /** Counts a picture by how it ends. */
  async inference(classify: () => Promise<Answer>): Promise<Answer> {
    const start = performance.now();
    try {
      const answer = await classify();
      const total = performance.now() - start;
      this.success.inc(this.model);
      this.inferences.inc(this.model);
      this.executions.inc(this.model);
      const { decodeMs, inferenceMs } = answer;
      const parts = { request: total, compute_input: decodeMs, compute_infer: inferenceMs };
      const waited = Math.max(0, total - decodeMs - inferenceMs);
      for (const [part, ms] of Object.entries({ ...parts, queue: waited }))
        this.durations[part as keyof typeof this.durations].inc(this.model, Math.round(ms * 1000));
      return answer;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Counts a picture that was refused before it got into line. */
  failed(error: unknown): void {
    const code = error instanceof RequestError ? error.code : 'INTERNAL';
    this.failure.inc({ ...this.model, reason: REASONS[code] ?? 'OTHER' });
  }

  private perModel(name: string, help: string): Counter<'model' | 'version'> {
    return new Counter({ name, help, labelNames: OF_MODEL, registers: this.registers });
  }
}
