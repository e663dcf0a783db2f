import type { Family } from '../src/net/ip.ts';

/**
 * One address behind a service, merged from all of its slices. Immutable; replaced when it changes.
 * Conditions are resolved: absent ready and serving are true, absent terminating is false (facts: Kubernetes
 * EndpointSlice API, conditions).
 */
export interface Endpoint {
  readonly family: Family;
  /** Canonical text of the first address. */
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly hostname: string | undefined;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** Name of the pod of targetRef, when it is one. */
  readonly podName: string | undefined;
  /** Port number by `name/protocol` of the slice ports, for example `http/TCP`; a nameless port is `/TCP`. */
  readonly ports: ReadonlyMap<string, number>;
  /** How many ready slice entries were merged into this one, when more than one (SRV weights count them). */
  readonly listings?: number;
}

/** The key of Endpoint.ports. */
export function portKey(portName: string, protocol: string): string {
  return `${portName}/${protocol}`;
}
