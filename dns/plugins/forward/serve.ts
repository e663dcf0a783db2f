import { messageOf } from '../../../src/base/fault.ts';
import {
  failure,
  type ExtendedError,
  type Handler,
  type Outcome,
  type Plugin,
  type PluginDeps,
  type Query,
} from '../../plugin.ts';
import type { Message } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE, EDNS_OPTION } from '../../wire/numbers.ts';
import { HealthChecks } from './health-check.ts';
import { ForwardMetrics } from './metrics.ts';
import type { ForwardOptions } from './parse.ts';
import { READ_TIMEOUT_MS, Upstream, type AskTransport } from './upstream.ts';

/** All tries for one question together. */
export const QUESTION_DEADLINE_MS = 5000;

/** Between a client and us alone (RFC 7873, RFC 7828, RFC 7830). */
const HOP_BY_HOP: readonly number[] = [EDNS_OPTION.COOKIE, EDNS_OPTION.TCP_KEEPALIVE, EDNS_OPTION.PADDING];

export async function openForward(deps: PluginDeps, options: ForwardOptions): Promise<Plugin> {
  return new Forward(deps, options);
}

/** Asks other resolvers. Equal questions under way share one answer. */
class Forward implements Plugin {
  readonly name = 'forward';
  readonly #deps: PluginDeps;
  readonly #options: ForwardOptions;
  readonly #upstreams: readonly Upstream[];
  readonly #metrics: ForwardMetrics;
  readonly #health: HealthChecks;
  readonly #underWay = new Map<string, Promise<Outcome>>();
  readonly #abort = new AbortController();
  #active = 0;
  #turn = 0;

  constructor(deps: PluginDeps, options: ForwardOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#upstreams = options.upstreams.map((spec) => new Upstream(deps, spec, options));
    this.#metrics = deps.host.shared('metrics forward', () => new ForwardMetrics(deps.metrics));
    this.#health = new HealthChecks({ clock: deps.clock, metrics: this.#metrics }, options);
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    if (!this.#mine(query.name)) return next(query);
    const { maxConcurrent } = this.#options;
    const key = coalescingKey(query);
    const shared = this.#underWay.get(key);
    if (shared) return shared.then((outcome) => this.#after(query, next, outcome));
    if (maxConcurrent > 0 && this.#active >= maxConcurrent) {
      this.#metrics.concurrentRejects.inc();
      return failure('REFUSED', `more than ${maxConcurrent} questions under way`);
    }
    this.#active++;
    const asked = this.#ask(query).finally(() => {
      this.#active--;
      this.#underWay.delete(key);
    });
    this.#underWay.set(key, asked);
    return asked.then((outcome) => this.#after(query, next, outcome));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('server stops'));
    this.#health[Symbol.dispose]();
    for (const upstream of this.#upstreams) await upstream[Symbol.asyncDispose]();
  }

  #mine(name: string): boolean {
    const { from, except } = this.#options;
    return from.some((zone) => isWithin(name, zone)) && !except.some((zone) => isWithin(name, zone));
  }

  /** `next RCODE` and `next_on_nodata`: the following plugin may know better. */
  #after(query: Query, next: Handler, outcome: Outcome): Outcome | Promise<Outcome> {
    if (outcome.kind !== 'reply') return outcome;
    const { message } = outcome;
    if (this.#options.next.includes(message.rcode)) return next(query);
    const empty = message.rcode === 'NOERROR' && message.answers.length === 0;
    if (empty && this.#options.nextOnNodata) return next(query);
    const { id } = query.request;
    return { ...outcome, message: { ...message, id, questions: query.request.questions } };
  }

  async #ask(query: Query): Promise<Outcome> {
    const order = this.#order();
    const deadline = this.#deps.clock.monotonicMs() + QUESTION_DEADLINE_MS;
    let last: Outcome = failure('SERVFAIL', 'no upstream', unreachable('no upstream is configured'));
    const healthy = order.filter((upstream) => !this.#health.isDown(upstream));
    if (healthy.length === 0 && order.length > 0) {
      this.#metrics.allDown.inc();
      if (this.#options.failFast) {
        return failure('SERVFAIL', 'all upstreams are down', unreachable('all upstreams are down'));
      }
    }
    // With none healthy the checks may be what is wrong: ask one anyway.
    const tries = healthy.length > 0 ? [...healthy, ...healthy] : order.slice(0, 1);
    for (const upstream of tries) {
      const leftMs = deadline - this.#deps.clock.monotonicMs();
      if (leftMs <= 0) break;
      const outcome = await this.#tryOne(query, upstream, Math.min(READ_TIMEOUT_MS, leftMs));
      const failedOver = outcome.kind === 'reply' && this.#options.failover.includes(outcome.message.rcode);
      if (outcome.kind === 'reply' && !failedOver) return outcome;
      last = outcome;
      if (this.#abort.signal.aborted) break;
    }
    return last;
  }

  async #tryOne(query: Query, upstream: Upstream, timeoutMs: number): Promise<Outcome> {
    const started = this.#deps.clock.monotonicMs();
    try {
      const message = await this.#exchange(query, upstream, timeoutMs);
      const labels = { proxy_name: 'forward', to: upstream.label, rcode: message.rcode };
      this.#metrics.durations.observe(labels, (this.#deps.clock.monotonicMs() - started) / 1000);
      return { kind: 'reply', message };
    } catch (error) {
      this.#health.suspect(upstream);
      const reason = `${upstream.label}: ${messageOf(error)}`;
      return failure('SERVFAIL', reason, unreachable(reason));
    }
  }

  async #exchange(query: Query, upstream: Upstream, timeoutMs: number): Promise<Message> {
    const request = outgoing(query.request);
    const { signal } = this.#abort;
    const used = (proto: string, reused: boolean): void => {
      const labels = { proxy_name: 'forward', to: upstream.label, proto };
      (reused ? this.#metrics.cacheHits : this.#metrics.cacheMisses).inc(labels);
    };
    const transport = this.#transport(query);
    const message = await upstream.ask(request, transport, timeoutMs, signal, used);
    // What did not fit into UDP is fetched whole: the client gets it by its own transport's rules.
    if (!message.truncated || transport === 'tcp' || upstream.spec.scheme !== 'dns') return message;
    return await upstream.ask(request, 'tcp', timeoutMs, signal, used).catch(() => message);
  }

  #transport(query: Query): AskTransport {
    if (this.#options.forceTcp) return 'tcp';
    return this.#options.preferUdp || query.transport === 'udp' ? 'udp' : 'tcp';
  }

  #order(): readonly Upstream[] {
    const all = this.#upstreams;
    if (this.#options.policy === 'sequential' || all.length < 2) return all;
    const start =
      this.#options.policy === 'round_robin'
        ? this.#turn++ % all.length
        : Math.floor(this.#deps.random() * all.length);
    return [...all.slice(start), ...all.slice(0, start)];
  }
}

/** Hop-by-hop options stay here (RFC 6891 6.1.1); DO and the rest of the flags go along. */
function outgoing(request: Message): Message {
  const { edns } = request;
  return {
    ...request,
    answers: [],
    authorities: [],
    additionals: [],
    ...(edns && {
      edns: { ...edns, options: edns.options.filter(({ code }) => !HOP_BY_HOP.includes(code)) },
    }),
  };
}

function coalescingKey({ name, question, request, transport }: Query): string {
  const { edns, checkingDisabled, recursionDesired } = request;
  const options = edns?.options.map(({ code, data }) => `${code}:${Buffer.from(data).toString('hex')}`) ?? [];
  return [
    name,
    question.type,
    question.class,
    transport === 'udp',
    checkingDisabled,
    recursionDesired,
    edns?.dnssecOk,
    edns === undefined,
    options.filter((text) => text.startsWith('8:')),
  ].join('|');
}

function unreachable(text: string): ExtendedError {
  return { code: EDE.NO_REACHABLE_AUTHORITY, text };
}
