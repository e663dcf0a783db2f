import type { SnapshotSource } from '../endpoints/snapshot.ts';
import type { Ingress, IngressLoadBalancerIngress } from '../src/api/kinds/ingress.ts';
import type { Clock } from '../src/base/clock.ts';
import type { EngineName } from '../src/net/engine.ts';
import type { Logger } from '../src/base/log.ts';
import type { Registry } from '../src/base/metrics.ts';
import type { Challenges } from './acme/challenges.ts';
import type { WantedCertificate } from './acme/renewals.ts';
import type { AnnotationReport } from './configuration.ts';
import type { GlobalSettings } from './settings.ts';
import type { ResolveName } from './upstream/clusters.ts';
import type { Connector } from './wire.ts';

export interface IngressDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  /** 0 <= random() < 1. */
  readonly random: () => number;
  /** For ExternalName services; rejects when the name does not exist. */
  readonly resolve: ResolveName;
  /** Writes status.loadBalancer of one Ingress; an empty list clears it. Rejections are retried. */
  readonly publishStatus: (
    ingress: Ingress,
    addresses: readonly IngressLoadBalancerIngress[],
  ) => Promise<void>;
  /** Told of the verdict on every annotation and of every rule that is not served: for conditions and events. */
  readonly report?: (ingress: Ingress, report: AnnotationReport) => void;
  /** What is answered to an ACME CA; shared with who proves the names. */
  readonly challenges?: Challenges;
  /** Told which certificates Ingresses ask a CA for, after each change. */
  readonly wantCertificates?: (wanted: readonly WantedCertificate[]) => void;
  /** Told which Secrets (`namespace/name`) are referred to, whenever that changes: no others are needed. */
  readonly needSecrets?: (keys: ReadonlySet<string>) => void;
  /** Another way to open upstream connections; node:net when absent. */
  readonly connector?: Connector;
  /** Takes access log lines, without a line end; needed when the settings ask for a log. */
  readonly accessLog?: (line: string) => void;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface IngressOptions {
  readonly http: readonly ListenAddress[];
  readonly https: readonly ListenAddress[];
  /** How HTTP/1.1 is served; `portable` when absent. Everything else is always served by the portable one. */
  readonly engine?: EngineName;
  /** Threads of the native engine; 1 when absent. */
  readonly workers?: number;
  /** Processors that these threads are bound to, in turn; absent = any. */
  readonly workerCpus?: readonly number[];
  /** The class name of the legacy annotation. */
  readonly ingressClass: string;
  /** spec.controller of the IngressClasses that are ours. */
  readonly controllerName: string;
  readonly watchWithoutClass: boolean;
  /** Objects come from manifests: the default class is applied here, as admission would have. */
  readonly applyDefaultClass: boolean;
  /** `namespace/name` of the ConfigMap with the settings. */
  readonly configMap?: string;
  /** `namespace/name` of the Secret with the default certificate. */
  readonly defaultCertificate?: string;
  readonly strict: boolean;
  /** Ports beside HTTP, by ConfigMaps of ingress-nginx's form (`namespace/name`). */
  readonly streams?: {
    readonly host: string;
    readonly tcpConfigMap?: string | undefined;
    readonly udpConfigMap?: string | undefined;
  };
  /** What clients can reach us by; empty = the status is left alone. */
  readonly statusAddresses: readonly IngressLoadBalancerIngress[];
  /** Settings that no ConfigMap changes. */
  readonly settings?: Partial<GlobalSettings>;
}
