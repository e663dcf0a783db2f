import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import type { AuditPolicy } from './audit/policy.ts';
import type { EncryptionRule } from './encryption/configuration.ts';
import type { Store } from '../../store/store.ts';

export interface ApiServerDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  /** 0 <= n < 1; names and allocations come from it. */
  readonly random?: () => number;
}

export interface ApiServerOptions {
  /** Absent = in-process callers only. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** `address:port` behind the `kubernetes` Service; port 0: the one it listens on; default: where the server listens. */
  readonly advertise?: string;
  /** `iss` of ServiceAccount tokens. */
  readonly issuer?: string;
  /** Keys and certificates live in its folder `pki`; undefined = in memory, new at each start. */
  readonly dataDir: string | undefined;
  /** One or two (dual stack); the first is the primary family. */
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: { readonly from: number; readonly to: number };
  /** More names and addresses clients may use for the server. */
  readonly serverNames?: readonly string[];
  readonly serverAddresses?: readonly string[];
  /** Default: WATCHES_PER_USER_MAX. */
  readonly watchesPerUserMax?: number;
  /** Who is told of in which detail, and the file for it; absent = no audit log. */
  readonly audit?: { readonly policy: AuditPolicy; readonly path: string };
  /** Seals the CA and the token key in the store, so that other servers with the same secret have them. */
  readonly pkiSecret?: string;
  /** Other servers may use the same store. */
  readonly sharedStore?: boolean;
  /** What is sealed in the store, and how; absent = nothing. */
  readonly encryption?: readonly EncryptionRule[];
}
