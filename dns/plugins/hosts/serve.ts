import { readFile, stat } from 'node:fs/promises';
import { type Fallthrough, fallsThrough } from '../../fallthrough.ts';
import { messageOf } from '../../../src/base/fault.ts';
import { Gauge } from '../../../src/base/metrics.ts';
import { repeat } from '../../../src/base/repeat.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Query } from '../../query.ts';
import { record, replyTo, type ResourceRecord } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { HostsTable } from './table.ts';

export interface HostsOptions {
  readonly path: string;
  readonly mustExist: boolean;
  readonly inline: readonly string[];
  readonly zones: readonly string[];
  readonly ttlSeconds: number;
  /** 0 = read once. */
  readonly reloadMs: number;
  readonly reverse: boolean;
  readonly strict: boolean;
  readonly fallthrough: Fallthrough;
  /** `fallthrough` holds for other types than A, AAAA and PTR of names that are known, too. */
  readonly fallthroughUnsupported: boolean;
}

export async function openHosts(deps: PluginDeps, options: HostsOptions): Promise<Plugin> {
  const plugin = new Hosts(deps, options);
  await plugin.load();
  plugin.follow();
  return plugin;
}

/** Answers from a hosts file and lines of the Corefile. */
class Hosts implements Plugin {
  readonly name = 'hosts';
  readonly #deps: PluginDeps;
  readonly #options: HostsOptions;
  readonly #metrics: HostsMetrics;
  #table = new HostsTable();
  #read = '';
  #following: Disposable | undefined;

  constructor(deps: PluginDeps, options: HostsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = deps.host.shared('metrics hosts', () => new HostsMetrics(deps));
  }

  /** Reads the file if it has changed; one that cannot be read leaves the table as it is. */
  async load(): Promise<void> {
    try {
      const info = await stat(this.#options.path).catch(() => undefined);
      const mark = info ? `${info.mtimeMs} ${info.size} ${info.ino}` : 'missing';
      if (mark !== this.#read) {
        const text = info ? await readFile(this.#options.path, 'utf8') : '';
        this.#table = HostsTable.read(this.#options.inline.join('\n'), text);
        this.#metrics.entries.set({ hostsfile: this.#options.path }, this.#table.size);
        this.#metrics.reloaded.set(this.#deps.clock.nowMs() / 1000);
        this.#read = mark;
      }
    } catch (error) {
      this.#deps.log.error('hosts file not read', { path: this.#options.path, reason: messageOf(error) });
    }
  }

  follow(): void {
    this.#following = repeat(this.#deps.clock, this.#options.reloadMs, () => this.load());
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const { name } = query;
    const { type } = query.question;
    const inZone = this.#options.zones.some((zone) => isWithin(name, zone));
    const found = this.#records(query);
    // Reverse names of our addresses are ours whatever the zones say, as CoreDNS has it.
    if (!inZone && !(type === 'PTR' && found !== undefined && found.length > 0)) return next(query);
    if (found === undefined) {
      // Reverse names that are not ours are somebody else's, whatever `fallthrough` says: that of a cluster, mostly.
      const passes = type === 'PTR' || fallsThrough(this.#options.fallthrough, name);
      return passes ? next(query) : this.#unknown(query);
    }
    if (
      found.length === 0 &&
      this.#unsupported(type) &&
      this.#options.fallthroughUnsupported &&
      fallsThrough(this.#options.fallthrough, name)
    ) {
      return next(query);
    }
    return { kind: 'reply', message: replyTo(query.request, { authoritative: true, answers: found }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#following?.[Symbol.dispose]();
  }

  /** Undefined = the name is not ours; empty = it is, with other types. */
  #records({ name, question }: Query): ResourceRecord[] | undefined {
    const ttl = this.#options.ttlSeconds;
    if (this.#options.reverse && /\.(in-addr|ip6)\.arpa\.$/.test(name)) {
      const names = this.#table.names(name);
      if (names.length === 0) return undefined;
      return question.type === 'PTR'
        ? names.map((target) => record(question.name, ttl, 'PTR', { target }))
        : [];
    }
    const known = this.#table.addresses(name);
    if (!known) return undefined;
    const list = question.type === 'A' ? known.v4 : question.type === 'AAAA' ? known.v6 : [];
    const type = question.type === 'AAAA' ? 'AAAA' : 'A';
    return list.map((address) => record(question.name, ttl, type, { address }));
  }

  /** CoreDNS has no SOA to go with a denial, and says SERVFAIL. */
  #unknown(query: Query): Outcome {
    return this.#options.strict ? failure('SERVFAIL', 'hosts has no such name') : nxdomain(query);
  }

  #unsupported(type: string): boolean {
    return type !== 'A' && type !== 'AAAA' && type !== 'PTR';
  }
}

function nxdomain(query: Query): Outcome {
  return { kind: 'reply', message: replyTo(query.request, { authoritative: true, rcode: 'NXDOMAIN' }) };
}

class HostsMetrics implements AsyncDisposable {
  readonly #deps: PluginDeps;
  readonly entries: Gauge<'hostsfile'>;
  readonly reloaded: Gauge;

  constructor(deps: PluginDeps) {
    this.#deps = deps;
    this.entries = new Gauge({
      name: 'coredns_hosts_entries',
      help: 'The combined number of entries in hosts and Corefile.',
      labelNames: ['hostsfile'],
      registers: [deps.metrics],
    });
    this.reloaded = new Gauge({
      name: 'coredns_hosts_reload_timestamp_seconds',
      help: 'The timestamp of the last reload of hosts file.',
      registers: [deps.metrics],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#deps.metrics.removeSingleMetric('coredns_hosts_entries');
    this.#deps.metrics.removeSingleMetric('coredns_hosts_reload_timestamp_seconds');
  }
}
