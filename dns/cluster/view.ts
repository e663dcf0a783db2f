import type { PodEntry, ServiceImportEntry } from '../../endpoints/snapshot.ts';
import type { ServiceEntry } from '../../endpoints/service-port.ts';

/** The cluster as one `kubernetes` stanza exposes it. Reads are live: the newest applied change is in the next answer. */
export interface ClusterView {
  /** First complete lists have been applied. */
  readonly synced: boolean;
  /** Unix seconds of the newest change. */
  readonly serial: number;
  /** The service when its namespace and labels are exposed. */
  service(namespace: string, name: string): ServiceEntry | undefined;
  importedService(namespace: string, name: string): ServiceImportEntry | undefined;
  /** The namespace exists and is exposed. */
  hasNamespace(name: string): boolean;
  /** A live pod with this canonical address, in any namespace. */
  podAt(address: string): PodEntry | undefined;
  /** Services with this ClusterIP, then services with an endpoint there, by key; unfiltered. */
  servicesAt(address: string): readonly ServiceEntry[];
  /** Exposed services. */
  services(): Iterable<ServiceEntry>;
  /** Addresses with a reverse name. */
  addresses(): Iterable<string>;
}
