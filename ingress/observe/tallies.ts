import type { Route } from '../compile/route.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { Distribution, wordsOf } from './distribution.ts';

export const TALLY_LABELS = [
  'ingress',
  'namespace',
  'service',
  'status',
  'method',
  'host',
  'path',
  'canary',
] as const;
export type TallyLabels = Record<(typeof TALLY_LABELS)[number], string>;

/** client_golang's default buckets, as ingress-nginx has them. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BYTES = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** Label sets kept; requests of further ones are counted without host and path. */
const TALLIES_MAX = 20_000;

/** What requests of one label set came to. */
export class Tally {
  readonly labels: TallyLabels;
  /** Method and status as numbers come in: compared on the hot path. */
  readonly method: string;
  readonly status: number;
  readonly canary: string;
  readonly requestSeconds: Distribution;
  readonly responseSeconds: Distribution;
  readonly headerSeconds: Distribution;
  readonly connectSeconds: Distribution;
  readonly requestBytes: Distribution;
  readonly responseBytes: Distribution;
  /** All numbers of it: TALLY_WORDS. */
  readonly memory: Float64Array;

  constructor(labels: TallyLabels, method: string, status: number, canary: string, memory: Float64Array) {
    this.labels = labels;
    this.method = method;
    this.status = status;
    this.canary = canary;
    this.memory = memory;
    let at = 0;
    const next = (bounds: readonly number[]): Distribution =>
      new Distribution(bounds, memory.subarray(at, (at += wordsOf(bounds))));
    this.requestSeconds = next(SECONDS);
    this.responseSeconds = next(SECONDS);
    this.headerSeconds = next(SECONDS);
    this.connectSeconds = next(SECONDS);
    this.requestBytes = next(BYTES);
    this.responseBytes = next(BYTES);
  }
}

/** Numbers of one tally. */
export const TALLY_WORDS = 4 * wordsOf(SECONDS) + 2 * wordsOf(BYTES);

/** Gives the memory of a new tally. */
export type TallyMemory = (labels: TallyLabels) => Float64Array;
const ownMemory: TallyMemory = () => new Float64Array(TALLY_WORDS);

/** Counts finished requests in plain numbers, by route, status, method and canary. */
export class Tallies {
  readonly #all = new Map<string, Tally>();
  /** The tallies of a route, most used first found: what a request looks through. */
  readonly #ofRoute = new WeakMap<Route, Tally[]>();
  /** Counted by other threads, by the same labels. */
  readonly #shares = new Map<string, { readonly labels: TallyLabels; readonly memories: Float64Array[] }>();
  readonly #memory: TallyMemory;

  constructor(memory: TallyMemory = ownMemory) {
    this.#memory = memory;
  }

  /** Adds what another thread counts into shared memory: one writer each, read when somebody asks. */
  share(labels: TallyLabels, memory: Float64Array): void {
    const key = JSON.stringify(labels);
    const known = this.#shares.get(key);
    if (known) known.memories.push(memory);
    else this.#shares.set(key, { labels, memories: [memory] });
  }

  /** Each label set once. */
  *all(): Iterable<Tally> {
    for (const [key, tally] of this.#all) if (!this.#shares.has(key)) yield tally;
    for (const [key, { labels, memories }] of this.#shares) {
      const own = this.#all.get(key);
      const sum = new Float64Array(TALLY_WORDS);
      for (const memory of own ? [own.memory, ...memories] : memories)
        for (let i = 0; i < TALLY_WORDS; i++) sum[i]! += memory[i]!;
      yield new Tally(labels, labels.method, Number(labels.status), labels.canary, sum);
    }
  }

  count(record: RequestRecord, request: RoutedRequest, status: number, bytes: number, nowMs: number): void {
    const tally = this.find(request.route, request.head.method, status, record.canary);
    tally.requestSeconds.observe((nowMs - record.startedMs) / 1000);
    tally.requestBytes.observe(record.requestBytes);
    tally.responseBytes.observe(bytes);
    const last = record.tries.at(-1);
    if (!last || record.headMs === 0) return;
    tally.headerSeconds.observe((record.headMs - last.startedMs) / 1000);
    tally.responseSeconds.observe((nowMs - last.startedMs) / 1000);
    if (record.connectedMs >= last.startedMs)
      tally.connectSeconds.observe((record.connectedMs - last.startedMs) / 1000);
  }

  find(route: Route, sentMethod: string, status: number, canary: string): Tally {
    let ofRoute = this.#ofRoute.get(route);
    if (!ofRoute) this.#ofRoute.set(route, (ofRoute = []));
    const method = METHODS.has(sentMethod) ? sentMethod : 'OTHER';
    for (const tally of ofRoute)
      if (tally.status === status && tally.method === method && tally.canary === canary) return tally;
    const labels = labelsOf(route, method, status, canary);
    const tally = this.#named(labels, method, status, canary);
    ofRoute.push(tally);
    return tally;
  }

  #named(labels: TallyLabels, method: string, status: number, canary: string): Tally {
    const key = JSON.stringify(labels);
    const known = this.#all.get(key);
    if (known) return known;
    if (this.#all.size >= TALLIES_MAX && labels.host + labels.path !== '')
      return this.#named({ ...labels, host: '', path: '' }, method, status, canary);
    const made = new Tally(labels, method, status, canary, this.#memory(labels));
    this.#all.set(key, made);
    return made;
  }
}

function labelsOf(route: Route, method: string, status: number, canary: string): TallyLabels {
  return {
    ingress: route.ingress.name,
    namespace: route.ingress.namespace,
    service: route.target.kind === 'service' ? route.target.backend.service : '',
    status: String(status),
    method,
    host: route.host,
    path: route.path,
    canary,
  };
}
