import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Registry } from '../../src/base/metrics.ts';
import type { Environment } from '../corefile/lexer.ts';
import { loadCorefile, type CorefileSource, type LoadedCorefile } from '../corefile/load.ts';
import { DRAIN_MS } from '../limits.ts';
import type { FastSample, Plugin } from '../plugin.ts';
import type { Transport } from '../query.ts';
import { ServerCookies } from './cookie.ts';
import type { OpenDatagramEngine } from './datagram-engine.ts';
import { Generation } from './generation.ts';
import { hostAddresses, listenSpecs } from './listen-plan.ts';
import { OpenListener } from './listeners.ts';
import { openPortableDatagram } from './portable-datagram.ts';
import type { OpenStreamEngine } from './stream-engine.ts';
import { openPortableStream } from './stream-listener.ts';
import type { Answerer, Arrival, Respond } from './responder.ts';
import { SharedThings } from './shared-things.ts';
import { tlsFilesDigest } from './tls-files.ts';

export interface DnsServerDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly random: () => number;
  /** Replaces the UDP engine; default node:dgram. */
  readonly openDatagram?: OpenDatagramEngine;
  /** Replaces the TCP engine; default node:net. */
  readonly openStream?: OpenStreamEngine;
}

export interface DnsServerOptions {
  readonly corefile: CorefileSource;
  /** Port of server blocks that name none. */
  readonly dnsPort: number;
  /** Addresses of blocks without `bind`; default every address of the host. */
  readonly defaultBind?: readonly string[];
  /** What NS glue says; default the bound addresses, wildcards expanded. */
  readonly advertisedAddresses?: readonly string[];
  /** Search list of this host, for `autopath`; default that of /etc/resolv.conf. */
  readonly searchDomains?: readonly string[];
  /** CoreDNS's oddities to the letter. */
  readonly strict?: boolean;
  /** For `{$NAME}` in the Corefile. */
  readonly env?: Environment;
  /** Shared by servers that must accept each other's DNS cookies. */
  readonly cookieSecret?: string;
  readonly drainMs?: number;
}

export interface BoundAddress {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
}

/**
 * A running DNS server. Opening rejects with CorefileFault (every fault of the file), LISTEN_FAILED, BIND_UNKNOWN or
 * TLS_FILES before anything is left open.
 */
export class DnsServer implements AsyncDisposable {
  readonly #deps: DnsServerDeps;
  readonly #options: DnsServerOptions;
  readonly #cookies: ServerCookies;
  readonly #shared = new SharedThings();
  readonly #failure = new AbortController();
  #listeners = new Map<string, OpenListener>();
  #generation!: Generation;
  #draining = false;
  #reloading: Promise<boolean> | undefined;
  #loaded: LoadedCorefile;
  /** What `#loaded` said of certificates, as they were then. */
  #certificates: string;

  private constructor(deps: DnsServerDeps, options: DnsServerOptions, loaded: LoadedCorefile) {
    this.#deps = { ...deps, log: deps.log.with({ part: 'dns' }) };
    this.#options = options;
    this.#loaded = loaded;
    this.#certificates = certificateDigest(loaded);
    const { cookieSecret } = options;
    this.#cookies = new ServerCookies(deps, cookieSecret === undefined ? {} : { secret: cookieSecret });
  }

  static async open(deps: DnsServerDeps, options: DnsServerOptions): Promise<DnsServer> {
    const server = new DnsServer(deps, options, load(options));
    await server.#start(server.#loaded);
    return server;
  }

  /** Every socket that answers, with the port it really got. */
  get addresses(): readonly BoundAddress[] {
    return [...this.#listeners.values()].flatMap((listener) => listener.addresses);
  }

  /** True when every plugin can answer. */
  get ready(): boolean {
    return this.#generation.plugins.every((plugin) => plugin.ready?.() ?? true);
  }

  /** Aborted when the server must stop by itself (`loop`); the reason says why. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  get plugins(): readonly Plugin[] {
    return this.#generation.plugins;
  }

  /** What compiled tables answered without a chain, by listener, since the last reload. */
  fastCounts(): readonly FastSample[] {
    return this.#generation.fastCounts();
  }

  /** Answers a message without a socket, as if it had come to the listener with this label (default: the first). */
  answer(
    bytes: Uint8Array,
    arrival: Omit<Arrival, 'listener'> & { readonly listener?: string },
    respond: Respond,
    done?: () => void,
  ): void {
    const listener = arrival.listener ?? this.#generation.tables.keys().next().value ?? '';
    this.#generation.responder.answer(bytes, { ...arrival, listener }, respond, done);
  }

  /**
   * Reads the Corefile and its certificates again. Sockets that stay wanted stay open; questions under way end on the old chains. A bad
   * file changes nothing: the faults are logged and the result is false.
   */
  async reload(options: { readonly onlyIfChanged?: boolean } = {}): Promise<boolean> {
    this.#reloading ??= this.#reload(options.onlyIfChanged === true).finally(
      () => (this.#reloading = undefined),
    );
    return await this.#reloading;
  }

  /** Stops accepting, answers what is under way, closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    await this.#lameduck();
    for (const listener of this.#listeners.values()) listener.drain();
    await this.#generation.drained(this.#options.drainMs ?? DRAIN_MS);
    for (const listener of this.#listeners.values()) await listener[Symbol.asyncDispose]();
    await this.#generation[Symbol.asyncDispose]();
  }

  async #reload(onlyIfChanged: boolean): Promise<boolean> {
    const { log } = this.#deps;
    try {
      const loaded = load(this.#options);
      const certificates = certificateDigest(loaded);
      const isSame = certificates === this.#certificates && loaded.sha512 === this.#loaded.sha512;
      if (onlyIfChanged && isSame) return true;
      const before = this.#generation;
      await this.#start(loaded);
      this.#loaded = loaded;
      this.#certificates = certificates;
      log.info('corefile reloaded');
      void this.#retire(before);
      return true;
    } catch (error) {
      log.error('corefile not reloaded, the old one stays', { reason: messageOf(error) });
      return false;
    }
  }

  async #retire(generation: Generation): Promise<void> {
    await generation.drained(this.#options.drainMs ?? DRAIN_MS);
    await generation[Symbol.asyncDispose]();
  }

  /** Opens a generation and the sockets it lacks; then makes it the one that answers; then closes sockets unused. */
  async #start(loaded: LoadedCorefile): Promise<void> {
    const specs = listenSpecs(loaded.plans, this.#options.defaultBind ?? []);
    const strict = this.#options.strict ?? false;
    const generation = await Generation.open(this.#generationDeps(loaded), loaded.plans, specs, { strict });
    // Questions may come in before the last socket is open.
    this.#generation ??= generation;
    const opened: OpenListener[] = [];
    try {
      for (const spec of specs) {
        const kept = this.#listeners.get(spec.label);
        if (kept && spec.tls) kept.renewTls(spec.tls);
        if (kept) continue;
        const { clock, openDatagram = openPortableDatagram, openStream = openPortableStream } = this.#deps;
        const deps = { clock, responder: this.#currentResponder(), openDatagram, openStream };
        opened.push(await OpenListener.open(deps, spec));
      }
    } catch (error) {
      for (const listener of opened) await listener[Symbol.asyncDispose]();
      await generation[Symbol.asyncDispose]();
      throw error;
    }
    const listeners = new Map(this.#listeners);
    for (const listener of opened) listeners.set(listener.label, listener);
    const unused = [...listeners.keys()].filter((label) => !specs.some((spec) => spec.label === label));
    this.#generation = generation;
    this.#listeners = listeners;
    for (const listener of listeners.values()) {
      const { datagram, stream } = generation.fastPaths.get(listener.label) ?? {};
      listener.useFastPaths(datagram, stream);
    }
    for (const label of unused) {
      const listener = listeners.get(label);
      listeners.delete(label);
      listener?.drain();
      await listener?.[Symbol.asyncDispose]();
    }
  }

  /** Listeners outlive generations: they ask whichever is current. */
  #currentResponder(): Answerer {
    return {
      answer: (bytes, arrival, respond, done) =>
        this.#generation.responder.answer(bytes, arrival, respond, done),
    };
  }

  #generationDeps({ sha512 }: LoadedCorefile): Parameters<typeof Generation.open>[0] {
    const { clock, log, metrics, random, snapshots } = this.#deps;
    return {
      clock,
      log,
      metrics,
      random,
      snapshots,
      cookies: this.#cookies,
      lease: this.#shared.lease(),
      addresses: () => this.#advertised(),
      searchDomains: this.#options.searchDomains,
      draining: () => this.#draining,
      corefileSha512: sha512,
      fail: (reason) => this.#failure.abort(new Error(reason)),
      reload: () => this.reload({ onlyIfChanged: true }),
    };
  }

  #advertised(): readonly string[] {
    if (this.#options.advertisedAddresses) return this.#options.advertisedAddresses;
    const bound = this.addresses.map(({ address }) => address);
    const expanded = bound.flatMap((address) =>
      address === '::' || address === '0.0.0.0' ? hostAddresses() : [address],
    );
    return [...new Set(expanded)];
  }

  async #lameduck(): Promise<void> {
    const waits = this.#generation.plugins.map((plugin) => plugin.lameduck?.() ?? Promise.resolve());
    await Promise.all(waits);
  }
}

function certificateDigest({ plans }: LoadedCorefile): string {
  return tlsFilesDigest(plans.flatMap(({ settings }) => settings.tls ?? []));
}

function load(options: DnsServerOptions): LoadedCorefile {
  return loadCorefile(options.corefile, {
    dnsPort: options.dnsPort,
    strict: options.strict ?? false,
    env: options.env ?? {},
  });
}
