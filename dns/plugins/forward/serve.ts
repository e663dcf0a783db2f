import { messageOf } from '../../../src/base/fault.ts';
import type { Plugin, PluginDeps, UpstreamExchange } from '../../plugin.ts';
import { failure, type ExtendedError, type Handler, type Outcome, type Query } from '../../query.ts';
import type { Message } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE, EDNS_OPTION } from '../../wire/numbers.ts';
import { HealthChecks } from './health-check.ts';
import { ForwardMetrics } from './metrics.ts';
import type { ForwardOptions } from './parse.ts';
import { resolveUpstreams } from './targets.ts';
import { Upstream, type AskTransport, type Sending } from './upstream.ts';

/** All tries for one question together, unless read_timeout gives a single one more. */
export const QUESTION_DEADLINE_MS = 5000;
/** Tries for one question with `max_connect_attempts 0`: an upstream that refuses at once must not be asked in a circle. */
const ATTEMPTS_MOST = 100;

const UPSTREAM_FACT = 'forward/upstream';

/** Between a client and us alone (RFC 7873, RFC 7828, RFC 7830). */
const HOP_BY_HOP: readonly number[] = [EDNS_OPTION.COOKIE, EDNS_OPTION.TCP_KEEPALIVE, EDNS_OPTION.PADDING];

/** Rejects with Fault UPSTREAM_UNKNOWN when the host name of an upstream cannot be looked up. */
export async function openForward(deps: PluginDeps, options: ForwardOptions): Promise<Plugin> {
  const upstreams = await resolveUpstreams(options.upstreams, options.resolvers);
  return new Forward(deps, { ...options, upstreams });
}

/** Asks other resolvers. Equal questions under way share one answer. */
class Forward implements Plugin {
  readonly name = 'forward';
  readonly #deps: PluginDeps;
  readonly #options: ForwardOptions;
  readonly #upstreams: readonly Upstream[];
  readonly #metrics: ForwardMetrics;
  readonly #health: HealthChecks;
  readonly #underWay = new Map<string, { readonly query: Query; readonly outcome: Promise<Outcome> }>();
  readonly #abort = new AbortController();
  /** Those of the block who want to hear of every exchange (`dnstap`). */
  #taps: readonly Plugin[] = [];
  /** The next plugin is `forward` too: only then do `next` and `next_on_nodata` apply. */
  #nextForwards = false;
  #active = 0;
  #turn = 0;

  constructor(deps: PluginDeps, options: ForwardOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#upstreams = options.upstreams.map((spec) => new Upstream(deps, spec, options));
    this.#metrics = deps.host.shared('metrics forward', () => new ForwardMetrics(deps.metrics));
    this.#health = new HealthChecks({ clock: deps.clock, metrics: this.#metrics }, options);
  }

  opened(): void {
    const { plugins } = this.#deps.chain;
    this.#taps = plugins.filter((plugin) => 'observeUpstream' in plugin);
    this.#nextForwards = plugins[plugins.indexOf(this) + 1]?.name === this.name;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    if (!this.#mine(query.name)) return next(query);
    const { maxConcurrent } = this.#options;
    const key = coalescingKey(query);
    const shared = this.#underWay.get(key);
    if (shared) {
      query.metadata.set(UPSTREAM_FACT, () => shared.query.metadata.get(UPSTREAM_FACT)?.() ?? '');
      return shared.outcome.then((outcome) => this.#after(query, next, outcome));
    }
    if (maxConcurrent > 0 && this.#active >= maxConcurrent) {
      this.#metrics.concurrentRejects.inc();
      return failure('REFUSED', `more than ${maxConcurrent} questions under way`);
    }
    this.#active++;
    const asked = this.#ask(query).finally(() => {
      this.#active--;
      this.#underWay.delete(key);
    });
    this.#underWay.set(key, { query, outcome: asked });
    return asked.then((outcome) => this.#after(query, next, outcome));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('server stops'));
    this.#health[Symbol.dispose]();
    for (const upstream of this.#upstreams) await upstream[Symbol.asyncDispose]();
  }

  #mine(name: string): boolean {
    const { from, except } = this.#options;
    if (from.includes(name)) return true;
    return from.some((zone) => isWithin(name, zone)) && !except.some((zone) => isWithin(name, zone));
  }

  /** `next RCODE` and `next_on_nodata`: the following forwarder may know better. */
  #after(query: Query, next: Handler, outcome: Outcome): Outcome | Promise<Outcome> {
    if (outcome.kind !== 'reply') return outcome;
    const { message } = outcome;
    const empty = message.rcode === 'NOERROR' && message.answers.length === 0;
    const passes = this.#options.next.includes(message.rcode) || (empty && this.#options.nextOnNodata);
    if (passes && this.#nextForwards) return next(query);
    const { id } = query.request;
    return { ...outcome, message: { ...message, id, questions: query.request.questions } };
  }

  async #ask(query: Query): Promise<Outcome> {
    const { readTimeoutMs, failover } = this.#options;
    const started = this.#deps.clock.monotonicMs();
    const deadline = started + Math.max(QUESTION_DEADLINE_MS, readTimeoutMs);
    const tries = this.#tries();
    if (tries.upstreams.length === 0) {
      return failure('SERVFAIL', 'all upstreams are down', unreachable('all upstreams are down'));
    }
    let last: Outcome = failure('SERVFAIL', 'no upstream', unreachable('no upstream was asked'));
    let failovers = 0;
    for (let i = 0; i < tries.most && !this.#abort.signal.aborted; i++) {
      const leftMs = deadline - this.#deps.clock.monotonicMs();
      if (leftMs <= 0) break;
      const upstream = tries.upstreams[i % tries.upstreams.length]!;
      last = await this.#tryOne(query, upstream, Math.min(readTimeoutMs, leftMs));
      if (last.kind !== 'reply') continue;
      // The answer of the last upstream counts, whatever it says.
      const another = failover.includes(last.message.rcode) && ++failovers < this.#upstreams.length;
      if (!another) return last;
    }
    return last;
  }

  /** Who is asked in turn, and how often altogether. Nobody when all are down and that is to be told at once. */
  #tries(): { readonly upstreams: readonly Upstream[]; readonly most: number } {
    const order = this.#order();
    const { connectAttemptsMax, failFast } = this.#options;
    const most = connectAttemptsMax === 0 ? ATTEMPTS_MOST : (connectAttemptsMax ?? order.length * 2);
    const upstreams = order.filter((upstream) => !this.#health.isDown(upstream));
    if (upstreams.length > 0) return { upstreams, most: Math.min(most, ATTEMPTS_MOST) };
    this.#metrics.allDown.inc();
    // The checks may be what is wrong: ask one anyway.
    return { upstreams: failFast ? [] : order.slice(0, 1), most: 1 };
  }

  async #tryOne(query: Query, upstream: Upstream, timeoutMs: number): Promise<Outcome> {
    const started = this.#deps.clock.monotonicMs();
    query.metadata.set(UPSTREAM_FACT, () => upstream.label);
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
    const transport = this.#transport(query);
    const message = await this.#askOnce(query, upstream, transport, timeoutMs);
    // What did not fit into UDP is fetched whole: the client gets it by its own transport's rules.
    if (!message.truncated || transport === 'tcp' || upstream.spec.scheme !== 'dns') return message;
    return await this.#askOnce(query, upstream, 'tcp', timeoutMs).catch(() => message);
  }

  async #askOnce(
    query: Query,
    upstream: Upstream,
    transport: AskTransport,
    timeoutMs: number,
  ): Promise<Message> {
    const started = this.#deps.clock.monotonicMs();
    let sent: Sending | undefined;
    let reply: Message | undefined;
    const sends = (sending: Sending): void => {
      sent = sending;
      const labels = { proxy_name: 'forward', to: upstream.label, proto: sending.protocol };
      (sending.reused ? this.#metrics.cacheHits : this.#metrics.cacheMisses).inc(labels);
    };
    try {
      reply = await upstream.ask(outgoing(query.request), transport, timeoutMs, this.#abort.signal, sends);
      return reply;
    } finally {
      const durationMs = this.#deps.clock.monotonicMs() - started;
      if (sent) this.#tap({ ...sent, query, upstream: upstream.peer, reply, durationMs });
    }
  }

  #tap(exchange: UpstreamExchange): void {
    for (const plugin of this.#taps) plugin.observeUpstream?.(exchange);
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
