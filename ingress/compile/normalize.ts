import type { Ingress, IngressBackend, IngressSpec } from '../../src/api/kinds/ingress.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';

/** Old shapes: extensions/v1beta1 and networking.k8s.io/v1beta1. */
interface BetaBackend extends IngressBackend {
  serviceName?: string;
  servicePort?: number | string;
}

/** True for the Ingress kinds of every API version that charts still carry. */
export function isIngressKind(object: { apiVersion: string; kind: string }): boolean {
  return (
    object.kind === 'Ingress' &&
    (object.apiVersion.startsWith('networking.k8s.io/') || object.apiVersion === 'extensions/v1beta1')
  );
}

/** The object in the shape of networking.k8s.io/v1; the same object when it has that shape already. */
export function toIngressV1(object: KubeObject): Ingress {
  const ingress = object as Ingress;
  if (object.apiVersion === 'networking.k8s.io/v1') return ingress;
  const spec = (ingress.spec ?? {}) as IngressSpec & { backend?: BetaBackend };
  const { backend, ...rest } = spec;
  const fallback = backend ?? spec.defaultBackend;
  const rules = spec.rules?.map((rule) =>
    rule.http
      ? {
          ...rule,
          http: {
            paths: rule.http.paths.map((path) => ({
              ...path,
              pathType: path.pathType ?? ('ImplementationSpecific' as const),
              backend: toBackendV1(path.backend),
            })),
          },
        }
      : rule,
  );
  return {
    ...ingress,
    apiVersion: 'networking.k8s.io/v1',
    spec: {
      ...rest,
      ...(fallback && { defaultBackend: toBackendV1(fallback) }),
      ...(rules && { rules }),
    },
  };
}

/** serviceName/servicePort to service.name/.port; a port of digits is a number. */
function toBackendV1(backend: BetaBackend): IngressBackend {
  if (backend.serviceName === undefined) return backend;
  const port = backend.servicePort;
  const number = typeof port === 'number' ? port : /^\d+$/.test(port ?? '') ? Number(port) : undefined;
  return {
    service: {
      name: backend.serviceName,
      ...(number !== undefined
        ? { port: { number } }
        : port !== undefined
          ? { port: { name: String(port) } }
          : {}),
    },
  };
}
