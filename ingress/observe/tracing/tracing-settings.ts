import type { TracingSettings } from '../../settings.ts';

/** Keys of ingress-nginx's ConfigMap that belong together: read as one. */
export const TRACING_KEYS: ReadonlySet<string> = new Set([
  'enable-opentelemetry',
  'otlp-collector-host',
  'otlp-collector-port',
  'weft-otlp-protocol',
  'otel-service-name',
  'otel-sampler',
  'otel-sampler-ratio',
  'otel-sampler-parent-based',
]);

const GRPC_PORT = 4317;
const HTTP_PORT = 4318;

/** Undefined = off; a string says what is wrong. The port tells the protocol: 4318 is HTTP, every other gRPC. */
export function tracingFrom(data: Readonly<Record<string, string>>): TracingSettings | string | undefined {
  const text = (key: string): string | undefined => data[key]?.trim();
  if (text('enable-opentelemetry') !== 'true') return undefined;
  const host = text('otlp-collector-host') ?? '';
  if (!/^[A-Za-z0-9.:_-]+$/.test(host)) return 'otlp-collector-host: must name the collector';
  const port = portOf(text('otlp-collector-port'));
  if (port === undefined) return 'otlp-collector-port: must be a port';
  const protocol = text('weft-otlp-protocol') ?? (port === HTTP_PORT ? 'http' : 'grpc');
  if (protocol !== 'grpc' && protocol !== 'http') return 'weft-otlp-protocol: must be grpc or http';
  const ratio = ratioOf(text('otel-sampler') ?? 'AlwaysOn', text('otel-sampler-ratio'));
  if (ratio === undefined)
    return 'otel-sampler: must be AlwaysOn, AlwaysOff or TraceIdRatioBased with a ratio';
  const parentBased = text('otel-sampler-parent-based') !== 'false';
  const serviceName = text('otel-service-name') || 'weft-ingress';
  return { host, port, protocol, serviceName, ratio, parentBased };
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return GRPC_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function ratioOf(sampler: string, ratio: string | undefined): number | undefined {
  if (sampler === 'AlwaysOn') return 1;
  if (sampler === 'AlwaysOff') return 0;
  if (sampler !== 'TraceIdRatioBased') return undefined;
  const share = Number(ratio ?? '0.01');
  return share >= 0 && share <= 1 ? share : undefined;
}
