import type { Endpoint } from '../../endpoints/endpoint.ts';
import { portKey } from '../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../endpoints/service-port.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BackendRef } from '../compile/route.ts';
import type { Address } from '../wire.ts';

/** One endpoint of one cluster and what we learned of it. Kept while the endpoint exists, over all updates. */
export class EndpointState {
  /** `ip:port`, IPv6 in brackets. */
  readonly id: string;
  readonly address: Address;
  readonly addedMs: number;
  /** Requests under way. */
  active = 0;
  /** Connections under way to be made or used for upgrades. */
  requests = 0;
  failures = 0;
  consecutiveFailures = 0;
  ejections = 0;
  ejectedUntilMs = 0;
  /** Verdict of active checks; true while there are none. */
  healthy = true;
  /** Peak EWMA of the response time. */
  latencyMs = 0;
  latencyStampMs = 0;
  /** It has left the cluster: no new requests. */
  gone = false;

  constructor(address: Address, nowMs: number) {
    this.id = joinHostPort(address.host, address.port);
    this.address = address;
    this.addedMs = nowMs;
  }
}

/** What a balancer needs of a backend. */
export interface EndpointGroup {
  readonly key: string;
  readonly endpoints: readonly EndpointState[];
  /** Why there are no endpoints. */
  readonly reason: string | undefined;
  /** State of round robin. */
  cursor: number;
  /** Derived by balancers: forgotten when the endpoints change. */
  readonly derived: Map<string, unknown>;
}

/** What endpoints a backend has and, when there are none, why. */
export interface EndpointsOf {
  readonly addresses: readonly Address[];
  readonly reason: string | undefined;
  /** The name to resolve when the service is an ExternalName. */
  readonly externalName: { readonly name: string; readonly port: number } | undefined;
  /** `namespace/service:port` with the port as a number, for logs and error pages. */
  readonly portNumber: number;
}

const none = (reason: string, portNumber = 0): EndpointsOf => ({
  addresses: [],
  reason,
  externalName: undefined,
  portNumber,
});

/**
 * The addresses behind a backend: pod endpoints of the port with the service port's name; ready ones, else those
 * that still serve while they terminate (as kube-proxy does).
 */
export function endpointsOf(
  service: ServiceEntry | undefined,
  backend: BackendRef,
  serviceUpstream: boolean,
): EndpointsOf {
  if (!service) return none('service does not exist');
  const { port: wanted, protocol = 'TCP' } = backend;
  if (service.type === 'ExternalName') return externalEndpoints(service, wanted);
  const port = service.ports.find((candidate) => {
    if (candidate.protocol !== protocol) return false;
    if (!wanted) return true;
    return 'name' in wanted ? candidate.name === wanted.name : candidate.port === wanted.number;
  });
  if (!port) return none('service has no such port');
  if (serviceUpstream) {
    const clusterIP = service.clusterIPs[0];
    if (!clusterIP) return none('service has no cluster IP', port.port);
    return {
      addresses: [{ host: clusterIP, port: port.port }],
      reason: undefined,
      externalName: undefined,
      portNumber: port.port,
    };
  }
  const key = portKey(port.name, protocol);
  const addresses = usable(service.endpoints, key, service.publishNotReady);
  const reason = addresses.length === 0 ? 'service has no ready endpoints' : undefined;
  return { addresses, reason, externalName: undefined, portNumber: port.port };
}

function externalEndpoints(service: ServiceEntry, wanted: BackendRef['port']): EndpointsOf {
  const named =
    wanted && 'name' in wanted
      ? service.ports.find((port) => port.name === wanted.name)?.port
      : wanted?.number;
  const port = named ?? service.ports[0]?.port ?? 80;
  if (!service.externalName) return none('ExternalName without a name', port);
  return {
    addresses: [],
    reason: undefined,
    externalName: { name: service.externalName, port },
    portNumber: port,
  };
}

function usable(endpoints: readonly Endpoint[], key: string, publishNotReady: boolean): Address[] {
  const ready: Address[] = [];
  const fallback: Address[] = [];
  for (const endpoint of endpoints) {
    const port = endpoint.ports.get(key);
    if (port === undefined) continue;
    const address = { host: endpoint.address, port };
    if (publishNotReady || (endpoint.ready && !endpoint.terminating)) ready.push(address);
    else if (endpoint.serving && endpoint.terminating) fallback.push(address);
  }
  return ready.length > 0 ? ready : fallback;
}
