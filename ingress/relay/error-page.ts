import { backendKey, type BackendRef, type Target } from '../compile/route.ts';
import { Fields } from '../http/fields.ts';
import type { RoutePolicy } from '../policy.ts';
import type { OutgoingRequest } from '../upstream/stream.ts';
import type { RoutedRequest } from './context.ts';

export interface ErrorPage {
  readonly target: Target & { kind: 'service' };
  readonly policy: RoutePolicy;
  readonly outgoing: OutgoingRequest;
}

/**
 * The request to an error page service (custom-http-errors, default-backend): GET / with X-* fields that describe
 * what failed. Undefined when this status of this route is not replaced.
 */
export function errorPageRequest(
  request: RoutedRequest,
  status: number,
  requestId: string,
  noEndpoints: boolean,
): ErrorPage | undefined {
  const { policy, ingress, target } = request.route;
  const { errors } = policy;
  const named = errors?.defaultBackend;
  const own: BackendRef | undefined =
    named === undefined ? undefined : { namespace: ingress.namespace, service: named, port: undefined };
  const replaced = errors?.statuses.has(status) === true || (noEndpoints && own !== undefined);
  const backend = own ?? request.settings.defaultBackend;
  if (!replaced || !backend) return undefined;
  const fields = Fields.of(
    ['X-Code', String(status)],
    ['X-Format', request.head.fields.get('accept') ?? ''],
    ['X-Original-URI', request.head.target],
    ['X-Namespace', ingress.namespace],
    ['X-Ingress-Name', ingress.name],
    ['X-Service-Name', target.kind === 'service' ? target.backend.service : ''],
    ['X-Service-Port', target.kind === 'service' ? portText(target.backend) : ''],
    ['X-Request-ID', requestId],
  );
  return {
    target: { kind: 'service', backend, key: backendKey(backend) },
    policy: { ...policy, errors: undefined, mirror: undefined },
    outgoing: {
      method: request.head.method === 'HEAD' ? 'HEAD' : 'GET',
      target: '/',
      authority: request.host === '' ? backend.service : request.host,
      scheme: 'http',
      fields,
      bodyLength: 0,
      upgrade: undefined,
      version: 11,
      close: false,
    },
  };
}

function portText(backend: BackendRef): string {
  if (!backend.port) return '';
  return 'name' in backend.port ? backend.port.name : String(backend.port.number);
}
