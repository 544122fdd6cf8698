/** OpenTelemetry's SDK for `--traces`. Not installed with this package: most servers are not traced. */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { UserError } from '../base/errors.js';
import { toolVersion } from '../base/tool-version.js';
import type { Log } from './log.js';

const PACKAGES =
  '@opentelemetry/sdk-trace-node@2 @opentelemetry/resources@2 @opentelemetry/exporter-trace-otlp-http@0.223';

/** A fault that lasts is logged this often, milliseconds. */
const AGAIN_MS = 60_000;

/**
 * Sends spans by OTLP over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says, unless OTEL_SDK_DISABLED is `true`.
 * @param log  for what the SDK complains of, such as spans that cannot be sent
 * @returns    sends what is left
 * @throws {UserError} if the SDK is not installed
 */
export async function startTracing(log: Log): Promise<() => Promise<void>> {
  if (process.env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') {
    log('--traces: no traces are sent: OTEL_SDK_DISABLED is true', 'warn');
    return async () => undefined;
  }
  const load = async () => {
    const sdk = await import('@opentelemetry/sdk-trace-node');
    const resources = await import('@opentelemetry/resources');
    return { ...sdk, ...resources, ...(await import('@opentelemetry/exporter-trace-otlp-http')) };
  };
  const { NodeTracerProvider, BatchSpanProcessor, OTLPTraceExporter, ...resources } = await load().catch((cause) => {
    throw new UserError(`--traces: OpenTelemetry is not installed; npm install ${PACKAGES}`, { cause });
  });
  logComplaints(log);
  const { defaultResource, resourceFromAttributes, detectResources, envDetector } = resources;
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'alexnet', 'service.version': toolVersion() }))
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new NodeTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  return () => provider.shutdown().catch(() => undefined);
}

/** The SDK is silent by default: a wrong address would go unnoticed. */
function logComplaints(log: Log): void {
  let last = { text: '', at: 0 };
  const complain = (said: string) => {
    const text = messageOf(said);
    const at = performance.now();
    if (text === last.text && at - last.at < AGAIN_MS) return;
    last = { text, at };
    log(`--traces: ${text}`, 'warn');
  };
  const nothing = () => undefined;
  const logger = { error: complain, warn: complain, info: nothing, debug: nothing, verbose: nothing };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

/** Errors come as JSON with their stack. */
function messageOf(said: string): string {
  try {
    return String((JSON.parse(said) as { message?: unknown }).message ?? said);
  } catch {
    return said;
  }
}
