/** OpenTelemetry's SDK for `--traces`. Not installed with this package: most servers are not traced. */
import { UserError } from '../base/errors.js';
import { toolVersion } from '../base/tool-version.js';

const PACKAGES =
  '@opentelemetry/sdk-trace-node@2 @opentelemetry/resources@2 @opentelemetry/exporter-trace-otlp-http@0.223';

/**
 * Sends spans by OTLP over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says.
 * @returns  sends what is left
 * @throws {UserError} if the SDK is not installed
 */
export async function startTracing(): Promise<() => Promise<void>> {
  const load = async () => {
    const sdk = await import('@opentelemetry/sdk-trace-node');
    const resources = await import('@opentelemetry/resources');
    return { ...sdk, ...resources, ...(await import('@opentelemetry/exporter-trace-otlp-http')) };
  };
  const { NodeTracerProvider, BatchSpanProcessor, OTLPTraceExporter, ...resources } = await load().catch((cause) => {
    throw new UserError(`--traces: OpenTelemetry is not installed; npm install ${PACKAGES}`, { cause });
  });
  process.env.OTEL_SERVICE_NAME ??= 'alexnet';
  const { defaultResource, resourceFromAttributes, detectResources, envDetector } = resources;
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.version': toolVersion() }))
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new NodeTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  return () => provider.shutdown().catch(() => undefined);
}
