import { sleep } from '../../../src/base/clock.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Handler, Outcome, Query } from '../../query.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE } from '../../wire/numbers.ts';
import { classify, ttlOf, withTtl, type ReplyKind } from './classify.ts';
import { CacheMetrics } from './metrics.ts';
import type { CacheOptions } from './parse.ts';
import { CacheStore, type CacheItem } from './store.ts';

export function openCache(deps: PluginDeps, options: CacheOptions): Plugin {
  return new Cache(deps, options);
}

/**
 * Keeps replies for their ttl, by name, type, class, DO and CD. Answers of the compiled table are never kept: they
 * are right without it. Equal questions that miss together ask once.
 */
class Cache implements Plugin {
  readonly name = 'cache';
  readonly transparent = true;
  readonly #deps: PluginDeps;
  readonly #options: CacheOptions;
  readonly #success: CacheStore;
  readonly #denial: CacheStore;
  readonly #metrics: CacheMetrics;
  readonly #labels: { server: string; zones: string; view: string };
  readonly #underWay = new Map<string, Promise<Outcome>>();

  constructor(deps: PluginDeps, options: CacheOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#success = new CacheStore(deps, options.success);
    this.#denial = new CacheStore(deps, options.denial);
    this.#metrics = deps.host.shared('metrics cache', () => new CacheMetrics(deps.metrics));
    const view = deps.block.filters[0]?.name ?? '';
    this.#labels = { server: deps.listener, zones: options.zones.join(','), view };
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const plain = query.request.opcode === 'QUERY' && query.question.class === 'IN';
    if (!plain || !this.#options.zones.some((zone) => isWithin(query.name, zone))) return next(query);
    this.#metrics.requests.inc(this.#labels);
    const key = keyOf(query);
    const now = this.#deps.clock.monotonicMs();
    const item = this.#find(key, now);
    const leftMs = item ? item.storedMs + item.ttlSeconds * 1000 - now : 0;
    if (item && leftMs > 0) return this.#hit(query, next, key, item, leftMs);
    if (item && now < item.notBeforeMs) return this.#stale(query, item);
    if (item && this.#options.staleMode === 'immediate') {
      this.#refresh(query, next, key, item);
      return this.#stale(query, item);
    }
    this.#metrics.misses.inc(this.#labels);
    const asked = this.#ask(query, next, key);
    return item && asked instanceof Promise ? this.#verified(query, key, item, asked) : asked;
  }

  /** A fresh item, or one that may still be served stale. */
  #find(key: string, now: number): CacheItem | undefined {
    const item = this.#success.get(key) ?? this.#denial.get(key);
    if (!item) return undefined;
    const staleMs = item.message.rcode === 'SERVFAIL' ? 0 : this.#options.staleMs;
    if (now < item.storedMs + item.ttlSeconds * 1000 + staleMs) return item;
    this.#success.delete(key);
    this.#denial.delete(key);
    return undefined;
  }

  #hit(query: Query, next: Handler, key: string, item: CacheItem, leftMs: number): Outcome {
    const now = this.#deps.clock.monotonicMs();
    const type = item.message.rcode === 'NOERROR' && item.message.answers.length > 0 ? 'success' : 'denial';
    this.#metrics.hits.inc({ ...this.#labels, type });
    const { prefetch } = this.#options;
    if (prefetch && prefetch.amount > 0) {
      item.hits = now - item.lastHitMs > prefetch.durationMs ? 1 : item.hits + 1;
      item.lastHitMs = now;
      // A whole second at least: ttls are told in seconds.
      const nearMs = Math.ceil((item.ttlSeconds * prefetch.percentage) / 100) * 1000;
      const near = leftMs < nearMs;
      if (near && item.hits >= prefetch.amount) this.#refresh(query, next, key, item);
    }
    const ttl = this.#options.keepTtl ? item.ttlSeconds : Math.ceil(leftMs / 1000);
    return replyFrom(query, item, ttl);
  }

  #stale(query: Query, item: CacheItem): Outcome {
    this.#metrics.stale.inc(this.#labels);
    const code = item.message.rcode === 'NXDOMAIN' ? EDE.STALE_NXDOMAIN : EDE.STALE_ANSWER;
    const extended = { code, text: 'past its ttl; upstream is asked again' };
    return { ...replyFrom(query, item, this.#options.staleTtlSeconds), extended };
  }

  /** One in flight an item. */
  #refresh(query: Query, next: Handler, key: string, item: CacheItem): void {
    if (item.refreshing) return;
    item.refreshing = true;
    this.#metrics.prefetches.inc(this.#labels);
    void Promise.resolve(this.#ask(query, next, key)).then(
      (outcome) => this.#refreshed(item, isGood(outcome)),
      () => this.#refreshed(item, false),
    );
  }

  #refreshed(item: CacheItem, good: boolean): void {
    item.refreshing = false;
    if (!good) item.notBeforeMs = this.#deps.clock.monotonicMs() + this.#options.staleRecheckMs;
  }

  /** `verify`: the stale answer only when upstream fails or is slower than the limit. */
  async #verified(query: Query, key: string, item: CacheItem, asked: Promise<Outcome>): Promise<Outcome> {
    const limit = this.#options.staleVerifyMs;
    const quick = limit > 0 ? Promise.race([asked, sleep(this.#deps.clock, limit)]) : asked;
    const outcome = await quick.catch(() => undefined);
    if (outcome && isGood(outcome)) return outcome;
    if (outcome) {
      item.notBeforeMs = this.#deps.clock.monotonicMs() + this.#options.staleRecheckMs;
      const store = item.message.rcode === 'NXDOMAIN' ? this.#denial : this.#success;
      store.set(key, item);
    }
    return this.#stale(query, item);
  }

  #ask(query: Query, next: Handler, key: string): Outcome | Promise<Outcome> {
    const shared = this.#underWay.get(key);
    if (shared) return shared.then((outcome) => readdressed(query, outcome));
    const outcome = next(query);
    if (!(outcome instanceof Promise)) return this.#keep(query, key, outcome);
    const kept = outcome.then((settled) => this.#keep(query, key, settled));
    this.#underWay.set(key, kept);
    return kept.finally(() => this.#underWay.delete(key));
  }

  #keep(query: Query, key: string, outcome: Outcome): Outcome {
    if (outcome.kind !== 'reply' || outcome.plugin === 'kubernetes') return outcome;
    const kind = classify(outcome.message);
    if (kind === 'none') return outcome;
    if (!sameQuestion(outcome.message.questions[0], query)) {
      this.#metrics.drops.inc(this.#labels);
      return outcome;
    }
    const ttlSeconds = ttlOf(outcome.message, kind, this.#options);
    const keeps = ttlSeconds > 0 && !this.#disabled(kind, query.name) && !this.#prefersOlder(key, kind);
    if (keeps) this.#put(key, kind, outcome, ttlSeconds);
    return kind === 'failure' ? outcome : { ...outcome, message: withTtl(outcome.message, ttlSeconds) };
  }

  /** `serve_stale_policy prefer_positive`: a failure does not push out an answer that can still be served. */
  #prefersOlder(key: string, kind: ReplyKind): boolean {
    const keeps = this.#options.staleMs > 0 && (this.#options.stalePreferPositive || kind === 'failure');
    return keeps && kind !== 'success' && this.#success.get(key) !== undefined;
  }

  #put(key: string, kind: ReplyKind, outcome: Outcome & { kind: 'reply' }, ttlSeconds: number): void {
    const storedMs = this.#deps.clock.monotonicMs();
    const item: CacheItem = {
      message: outcome.message,
      extended: outcome.extended,
      storedMs,
      ttlSeconds,
      hits: 0,
      lastHitMs: storedMs,
      refreshing: false,
      notBeforeMs: 0,
    };
    const [store, other] = kind === 'success' ? [this.#success, this.#denial] : [this.#denial, this.#success];
    const before = store.evictions;
    other.delete(key);
    store.set(key, item);
    const type = kind === 'success' ? 'success' : 'denial';
    if (store.evictions > before) this.#metrics.evictions.inc({ ...this.#labels, type });
    this.#metrics.entries.set({ ...this.#labels, type: 'success' }, this.#success.size);
    this.#metrics.entries.set({ ...this.#labels, type: 'denial' }, this.#denial.size);
  }

  #disabled(kind: ReplyKind, name: string): boolean {
    const zones = kind === 'success' ? this.#options.disabledSuccess : this.#options.disabledDenial;
    return zones.some((zone) => isWithin(name, zone));
  }
}

function keyOf({ name, question, request }: Query): string {
  const { edns, checkingDisabled } = request;
  return `${name} ${question.type} ${edns?.dnssecOk === true ? 1 : 0}${checkingDisabled ? 1 : 0}`;
}

function isGood(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && ['NOERROR', 'NXDOMAIN'].includes(outcome.message.rcode);
}

function sameQuestion(answered: Query['question'] | undefined, { name, question }: Query): boolean {
  return answered?.name.toLowerCase() === name && answered.type === question.type;
}

/** AA is set on hits, as CoreDNS does; the owner is spelled as this client asked. */
function replyFrom(query: Query, item: CacheItem, ttl: number): Outcome & { kind: 'reply' } {
  const message = withTtl(item.message, ttl);
  const spelled = {
    ...message,
    id: query.request.id,
    questions: query.request.questions,
    authoritative: true,
    answers: message.answers.map((record) =>
      record.name.toLowerCase() === query.name ? { ...record, name: query.question.name } : record,
    ),
  };
  return item.extended
    ? { kind: 'reply', message: spelled, extended: item.extended, plugin: 'cache' }
    : { kind: 'reply', message: spelled, plugin: 'cache' };
}

function readdressed(query: Query, outcome: Outcome): Outcome {
  if (outcome.kind !== 'reply') return outcome;
  const { id, questions } = query.request;
  return { ...outcome, message: { ...outcome.message, id, questions } };
}
