import type { UnknownObject } from '../../../src/api/kinds/meta.ts';

const NGINX = 'nginx.ingress.kubernetes.io/';

export interface IngressShape {
  readonly name?: string;
  /** Without the prefix of ingress-nginx, unless they hold a slash. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly host?: string;
  readonly path?: string;
  readonly pathType?: string;
  readonly service?: string;
  readonly port?: number;
  readonly tls?: string;
  readonly created?: string;
}

export function ingress(shape: IngressShape = {}): UnknownObject {
  const host = shape.host ?? 'web.test';
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      namespace: 'default',
      name: shape.name ?? host.replaceAll('*', 'any'),
      creationTimestamp: shape.created ?? '2026-01-01T00:00:00Z',
      annotations: Object.fromEntries(
        Object.entries(shape.annotations ?? {}).map(([name, value]) => [
          name.includes('/') ? name : NGINX + name,
          value,
        ]),
      ),
    },
    spec: {
      ...(shape.tls !== undefined && { tls: [{ hosts: [host], secretName: shape.tls }] }),
      rules: [
        {
          host,
          http: {
            paths: [
              {
                path: shape.path ?? '/',
                pathType: shape.pathType ?? 'Prefix',
                backend: { service: { name: shape.service ?? 'web', port: { number: shape.port ?? 80 } } },
              },
            ],
          },
        },
      ],
    },
  };
}

/** A Service with port 80 and the endpoints `ip:port` behind it; all endpoints of one slice share a port. */
export function service(name: string, ...endpoints: readonly string[]): UnknownObject[] {
  const metadata = { namespace: 'default', name };
  const ports = [...new Set(endpoints.map((each) => Number(each.slice(each.lastIndexOf(':') + 1))))];
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: '10.96.9.9', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
    },
    ...ports.map((port) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: 'default',
        name: `${name}-${port}`,
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: 'IPv4',
      ports: [{ name: 'http', port, protocol: 'TCP' }],
      endpoints: endpoints
        .filter((each) => each.endsWith(`:${port}`))
        .map((each) => ({ addresses: [each.slice(0, each.lastIndexOf(':'))], conditions: { ready: true } })),
    })),
  ];
}

export function secret(name: string, data: Readonly<Record<string, string>>, type = 'Opaque'): UnknownObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: 'default', name },
    type,
    stringData: data,
  };
}

export function configMap(name: string, data: Readonly<Record<string, string>>): UnknownObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name }, data };
}
