import type { ConfigMap, Secret } from '../../api/kinds/config.ts';
import type { Service } from '../../api/kinds/service.ts';

/**
 * What pods refer to. The first question for an object may ask the API; afterwards the answer is kept up to
 * date until `release`. Undefined = it does not exist. Rejects when nothing is known (API unreachable).
 */
export interface PodSources {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** Services of the namespace, and `kubernetes` of default. */
  services(namespace: string): Promise<Iterable<Service>>;
  /** The folder of a claim on this host; undefined while it is not bound. */
  claimFolder(namespace: string, name: string): Promise<string | undefined>;
  /** A token of the pod's service account; undefined when the API gives none. */
  serviceAccountToken(request: TokenRequest): Promise<IssuedToken | undefined>;
  /** Calls back when an object that was asked for by this pod changed. */
  onChange(podUid: string, references: readonly SourceReference[], listener: () => void): Disposable;
}

export interface SourceReference {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly namespace: string;
  readonly name: string;
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string };
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAtMs: number;
}
