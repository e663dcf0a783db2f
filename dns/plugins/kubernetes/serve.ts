import { readFileSync } from 'node:fs';
import { fallsThrough } from '../../fallthrough.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import type { ClusterContext } from '../../cluster/answer.ts';
import { LiveView, type VisibleBatch } from '../../cluster/live-view.ts';
import { explainName } from '../../cluster/explain.ts';
import { lookUp, replyFrom, unlessLoading, zoneOf } from '../../cluster/look-up.ts';
import { isReverseZone, type ClusterOptions } from '../../cluster/options.ts';
import { clusterZoneSource } from '../../cluster/zone-source.ts';
import { parseResolvConf } from '../forward/resolv-conf.ts';
import { ChangeLatency, VisibleMetrics } from './change-latency.ts';
import { readerOptions, type TableSurroundings } from '../../cluster/table/reader-options.ts';
import { StaleTable, TableSaver } from './stale-table.ts';
import type { ChainView, CompiledNames, Plugin, PluginDeps, ZoneSource } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Query } from '../../query.ts';
import { record, replyTo } from '../../wire/message.ts';
import { labelsBelow } from '../../wire/name.ts';

const WHY = '_why.';
/** A character string of a TXT record holds 255 bytes; the names in it are ASCII. */
const TXT_STRING_CHARS = 255;

/** Answers for the cluster's zones. */
export class KubernetesPlugin implements Plugin {
  readonly name = 'kubernetes';
  readonly options: ClusterOptions;
  readonly view: LiveView;
  readonly zoneSource: ZoneSource;
  readonly context: ClusterContext;
  readonly #hostSearch: readonly string[];
  readonly #debug: boolean;
  readonly #chain: ChainView;
  readonly #saver: TableSaver | undefined;
  #stale: StaleTable | undefined;

  private constructor(deps: PluginDeps, options: ClusterOptions) {
    this.options = options;
    this.#debug = deps.block.debug;
    this.#chain = deps.chain;
    const metrics = deps.host.shared('metrics kubernetes', () => new VisibleMetrics(deps.metrics));
    const latency = new ChangeLatency({ ...deps, metrics });
    this.view = new LiveView({ ...deps, visible: (batch) => this.#changed(latency, batch) }, options);
    const { snapshotFile } = options;
    if (snapshotFile !== undefined) {
      if (!this.view.synced) this.#stale = StaleTable.read(deps, snapshotFile, options);
      this.#saver = new TableSaver(deps, snapshotFile, this.view.table, options);
      if (this.view.synced) this.#saver.mark();
    }
    this.context = {
      view: this.view,
      options,
      serverAddresses: () => deps.host.addresses,
      resolve: (query, question) => deps.host.resolve(query, question),
      ...(options.zoneOrder && {
        clientZones: { zoneOf: (address) => this.view.zoneOfClient(address), random: deps.random },
      }),
    };
    this.zoneSource = clusterZoneSource(this.context, this.view);
    this.#hostSearch = deps.host.searchDomains ?? hostSearch();
  }

  /** Waits for the first complete lists, but not longer than startup_timeout. */
  static async open(deps: PluginDeps, options: ClusterOptions): Promise<KubernetesPlugin> {
    const plugin = new KubernetesPlugin(deps, options);
    if (!plugin.view.synced && !plugin.#stale) await plugin.#firstSync(deps, options.startupTimeoutMs);
    return plugin;
  }

  ready(): boolean {
    return this.view.synced || this.#stale !== undefined;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const zone = zoneOf(query.name, this.options.zones);
    if (zone === undefined || query.question.class !== 'IN') return next(query);
    const { type } = query.question;
    if (type === 'AXFR' || type === 'IXFR') {
      return failure('REFUSED', 'zone transfers need the transfer plugin and TCP');
    }
    if (this.#debug && type === 'TXT' && query.name.startsWith(WHY)) return this.#why(query);
    const answer = lookUp(this.context, query, zone, query.question);
    if (answer instanceof Promise) return answer.then((settled) => this.#reply(query, next, zone, settled));
    return this.#reply(query, next, zone, answer);
  }

  /** `_why.NAME` TXT: how the A answer of NAME comes about, a record a step. */
  #why({ request, question }: Query): Outcome {
    const name = question.name.slice(WHY.length);
    const { reasons } = explainName(this.view, this.options, name, 'A', this.context.serverAddresses());
    const answers = reasons.map(({ topic, text }) => {
      const line = `${topic}: ${text}`.slice(0, TXT_STRING_CHARS);
      return record(question.name, 0, 'TXT', { texts: [line] });
    });
    return { kind: 'reply', message: replyTo(request, { answers, authoritative: true }) };
  }

  /** The search list of the pod that asks, found by its address; needs `pods verified`. */
  searchPath(query: Query): readonly string[] | undefined {
    const zone = zoneOf(query.name, this.options.zones);
    const address = canonicalAddress(query.client.address);
    if (zone === undefined || address === undefined || this.options.pods !== 'verified') return undefined;
    const pod = this.view.podAt(address);
    return pod && [`${pod.namespace}.svc.${zone}`, `svc.${zone}`, zone, ...this.#hostSearch];
  }

  /**
   * The search list of a pod in the namespace that the name itself ends in, when nothing of the cluster has the name:
   * no pod need be known, and it works behind NAT and node-local caches.
   */
  searchPathOfQuestion(query: Query): readonly string[] | undefined {
    const zone = zoneOf(query.name, this.options.zones);
    if (zone === undefined || isReverseZone(zone)) return undefined;
    const labels = labelsBelow(query.name, zone);
    const [service, namespace, root] = labels.slice(-3);
    if (labels.length < 4 || root !== 'svc' || !this.view.hasNamespace(namespace!)) return undefined;
    if (this.view.service(namespace!, service!)) return undefined;
    return [`${namespace}.svc.${zone}`, `svc.${zone}`, zone, ...this.#hostSearch];
  }

  compiled(around: TableSurroundings): CompiledNames {
    const leavesDeepNames = this.#chain.plugin('autopath')?.walksSearchPath === true;
    return { table: this.view.table, options: readerOptions(this.options, { ...around, leavesDeepNames }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.view[Symbol.dispose]();
    await this.#saver?.[Symbol.asyncDispose]();
  }

  #changed(latency: ChangeLatency, batch: VisibleBatch): void {
    this.#stale = undefined;
    latency.observe(batch);
    this.#saver?.mark();
  }

  async #firstSync({ clock, snapshots, log }: PluginDeps, timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]();
        subscription[Symbol.dispose]();
        resolve();
      };
      const timer = clock.setTimer(timeoutMs, () => {
        log.warn('serving before the first lists are complete', { timeoutMs });
        done();
      });
      const subscription = snapshots.subscribe(() => this.view.synced && done());
    });
  }

  #reply(
    query: Query,
    next: Handler,
    zone: string,
    answer: Parameters<typeof replyFrom>[3],
  ): Outcome | Promise<Outcome> {
    if (answer.rcode === 'NXDOMAIN' && !this.view.synced) {
      const known = this.#stale?.answer(query);
      if (known) return known;
    }
    if (
      answer.rcode === 'NXDOMAIN' &&
      answer.answers.length === 0 &&
      fallsThrough(this.options.fallthrough, query.name)
    ) {
      return next(query);
    }
    return replyFrom(this.context, query.request, zone, unlessLoading(this.context, answer));
  }
}

function hostSearch(): readonly string[] {
  try {
    return parseResolvConf(readFileSync('/etc/resolv.conf', 'utf8')).search;
  } catch {
    return []; // no resolv.conf, no search list
  }
}
