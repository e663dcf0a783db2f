import { inPanic, isAvailable } from '../balance/health.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { HealthPolicy } from '../policy.ts';
import { socketName } from '../../src/net/native/stream-socket.ts';
import { type EndpointGroup, EndpointState } from '../upstream/cluster.ts';
import type { Address } from '../wire.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** An endpoint as one worker knows it: its books and its kept connections. */
export class WorkerEndpoint extends EndpointState {
  /** As struct sockaddr. */
  readonly name: Uint8Array;
  /** The one used last is used first, so the others can go idle. */
  readonly idle: UpstreamConnection[] = [];

  constructor(address: Address, nowMs: number) {
    super(address, nowMs);
    this.name = socketName({ address: address.host, port: address.port });
  }
}

/** A backend with its endpoints now. */
export class WorkerCluster implements EndpointGroup {
  /** Its clusterId. */
  readonly key: string;
  endpoints: readonly WorkerEndpoint[] = [];
  readonly reason = undefined;
  cursor = 0;
  readonly derived = new Map<string, unknown>();

  constructor(key: string) {
    this.key = key;
  }

  /** Endpoints that stay keep their books and connections; those that left lose their idle ones now. */
  setAddresses(addresses: readonly Address[], nowMs: number): void {
    const known = new Map(this.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    this.endpoints = addresses.map((address) => {
      const made = new WorkerEndpoint(address, nowMs);
      const kept = known.get(made.id);
      known.delete(made.id);
      return kept ?? made;
    });
    this.derived.clear();
    for (const endpoint of known.values()) {
      endpoint.gone = true;
      for (const connection of endpoint.idle.slice()) connection.close();
    }
  }

  /** Round robin over those that are available, over all in a panic: as the portable engine chooses. */
  pick(health: HealthPolicy, clock: Clock): WorkerEndpoint | undefined {
    const { endpoints } = this;
    if (endpoints.length === 1) {
      const [only] = endpoints;
      return only!.active < health.endpointRequestsMax ? only : undefined;
    }
    const nowMs = clock.monotonicMs();
    const panic = inPanic(endpoints, nowMs, health);
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[this.cursor++ % endpoints.length]!;
      if (endpoint.active >= health.endpointRequestsMax) continue;
      if (panic || isAvailable(endpoint, nowMs)) return endpoint;
    }
    return undefined;
  }
}
