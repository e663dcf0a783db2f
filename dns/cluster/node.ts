import type { Family } from '../../src/net/ip.ts';
import type { ZoneMode } from './zone-order.ts';

/** One address behind a name, and under which name and port an SRV record would point at it. */
export interface Host {
  readonly address: string;
  readonly family: Family;
  /** -1 = no port: no SRV record. */
  readonly port: number;
  /** SRV target relative to the zone, for example `db-0.db.data.svc`. */
  readonly target: string;
  /** Topology zone of the endpoint. */
  readonly zone?: string | undefined;
  /** How often it counts for SRV weights. */
  readonly listings: number;
}

/** What stands at a name of a cluster zone. */
export type ClusterNode =
  | { readonly kind: 'absent' }
  /** The name exists, with no records of its own. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'apex' }
  | { readonly kind: 'name-server' }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'hosts';
      readonly hosts: readonly Host[];
      /** The client's zone decides order or choice. */
      readonly zoneMode?: ZoneMode;
    }
  | { readonly kind: 'alias'; readonly target: string }
  | { readonly kind: 'pointers'; readonly targets: readonly string[] };

export const ABSENT: ClusterNode = { kind: 'absent' };
export const EMPTY: ClusterNode = { kind: 'empty' };
