import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { ObjectSink } from '../../src/api/kinds/object-sink.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { Gatekeeper } from '../access/gatekeeper.ts';
import { Chooser } from '../balance/chooser.ts';
import { certificateOf } from '../certificates/certificate-store.ts';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import type { RouteTable } from '../compile/route-table.ts';
import { type ConfigurationOptions, Configuration } from '../configuration.ts';
import type { GlobalSettings } from '../settings.ts';
import { ClusterSet, type ResolveName } from '../upstream/clusters.ts';
import { explainRequest } from './explain-request.ts';
import type { Explanation } from './explanation.ts';
import type { Question } from './question.ts';

export interface StillDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly resolve: ResolveName;
}

/**
 * The ingress without listeners: reads the same objects, compiles the same tables, and answers questions about
 * requests instead of requests.
 */
export class StillIngress implements ObjectSink, Disposable {
  readonly configuration: Configuration;
  readonly #deps: StillDeps;
  readonly #clusters: ClusterSet;
  readonly #gatekeeper: Gatekeeper;
  readonly #chooser: Chooser;
  #applied: { readonly table: RouteTable; readonly settings: GlobalSettings } | undefined;

  private constructor(deps: StillDeps, configuration: Configuration) {
    this.#deps = deps;
    this.configuration = configuration;
    this.#clusters = new ClusterSet({ ...deps, endpointGone: () => {} });
    this.#gatekeeper = new Gatekeeper({
      secret: (key) => configuration.objects.secrets.get(key),
      limits: { check: () => undefined, release: () => {} },
      external: { check: () => Promise.resolve(undefined) },
    });
    this.#chooser = new Chooser({ ...deps, ejected: () => {} });
  }

  static async open(deps: StillDeps, options: ConfigurationOptions): Promise<StillIngress> {
    const nowMs = deps.clock.nowMs();
    const pair = await selfSignedCertificate('weft default certificate', ['ingress.local'], nowMs);
    const fallback = certificateOf('default', pair);
    if (typeof fallback === 'string') throw new Error(`default certificate: ${fallback}`);
    const configuration = new Configuration({ log: deps.log, changed: () => {} }, options, fallback);
    return new StillIngress(deps, configuration);
  }

  upsert(object: KubeObject): void {
    this.#applied = undefined;
    this.configuration.objects.upsert(object);
  }

  remove(object: KubeObject): void {
    this.#applied = undefined;
    this.configuration.objects.remove(object);
  }

  synced(apiVersion: string, kind: string): void {
    this.configuration.objects.synced(apiVersion, kind);
  }

  /** The tables of the objects given so far. */
  apply(): { readonly table: RouteTable; readonly settings: GlobalSettings } {
    return (this.#applied ??= this.configuration.apply());
  }

  /** What would become of this request by the objects given so far. */
  async explain(question: Question): Promise<Explanation> {
    const { table, settings } = this.apply();
    return await explainRequest(
      {
        table,
        settings,
        serverNames: this.configuration.serverNames,
        snapshot: this.#deps.snapshots.snapshot,
        gatekeeper: this.#gatekeeper,
        chooser: this.#chooser,
        cluster: (target, serviceUpstream) => this.#clusters.get(target.key, target.backend, serviceUpstream),
      },
      question,
    );
  }

  [Symbol.dispose](): void {
    this.#clusters[Symbol.dispose]();
  }
}
