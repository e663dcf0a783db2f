import type { ClusterContext } from '../../cluster/answer.ts';
import { LiveView } from '../../cluster/live-view.ts';
import { lookUp, replyFrom, unlessLoading, zoneOf } from '../../cluster/look-up.ts';
import type { ClusterOptions } from '../../cluster/options.ts';
import {
  failure,
  type Handler,
  type Outcome,
  type Plugin,
  type PluginDeps,
  type Query,
} from '../../plugin.ts';
import { isWithin } from '../../wire/name.ts';

/** Answers for the cluster's zones. */
export class KubernetesPlugin implements Plugin {
  readonly name = 'kubernetes';
  readonly options: ClusterOptions;
  readonly view: LiveView;
  readonly #context: ClusterContext;

  constructor(deps: PluginDeps, options: ClusterOptions) {
    this.options = options;
    this.view = new LiveView(deps, options);
    this.#context = {
      view: this.view,
      options,
      serverAddresses: () => deps.host.addresses,
      resolve: (query, question) => deps.host.resolve(query, question),
    };
  }

  ready(): boolean {
    return this.view.synced;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const zone = zoneOf(query.name, this.options.zones);
    if (zone === undefined || query.question.class !== 'IN') return next(query);
    const { type } = query.question;
    if (type === 'AXFR' || type === 'IXFR') {
      return failure('REFUSED', 'zone transfers need the transfer plugin and TCP');
    }
    const answer = lookUp(this.#context, query, zone, query.question);
    if (answer instanceof Promise) return answer.then((settled) => this.#reply(query, next, zone, settled));
    return this.#reply(query, next, zone, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.view[Symbol.dispose]();
  }

  #reply(
    query: Query,
    next: Handler,
    zone: string,
    answer: Parameters<typeof replyFrom>[3],
  ): Outcome | Promise<Outcome> {
    if (answer.rcode === 'NXDOMAIN' && answer.answers.length === 0 && this.#fallsThrough(query.name)) {
      return next(query);
    }
    return replyFrom(this.#context, query.request, zone, unlessLoading(this.#context, answer));
  }

  #fallsThrough(name: string): boolean {
    const zones = this.options.fallthrough;
    return zones !== undefined && (zones.length === 0 || zones.some((zone) => isWithin(name, zone)));
  }
}
