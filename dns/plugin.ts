import type { SnapshotSource } from '../endpoints/snapshot.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Logger } from '../src/base/log.ts';
import type { Registry } from '../src/base/metrics.ts';
import type { AnswerWatcher } from './answer-summary.ts';
import type { GatePolicy } from './cluster/table/client-gate.ts';
import type { PackedTable } from './cluster/table/packed-table.ts';
import type { ReaderOptions, TableSurroundings } from './cluster/table/reader-options.ts';
import type { Line, Token } from './corefile/syntax.ts';
import type { Message, Question, ResourceRecord } from './wire/message.ts';
import type { Opcode, RecordClass } from './wire/numbers.ts';
import type { TsigKey } from './wire/tsig.ts';
import type { BlockSettings } from './block-settings.ts';
import type { Handler, Outcome, Peer, Query } from './query.ts';

/**
 * One link of a chain. `serve` answers or calls `next` (at most once in the ordinary case; never after it has
 * returned) and may change what comes back. It may throw: the server answers SERVFAIL and `errors` logs it.
 * Calls overlap freely; a plugin keeps no per-query state of its own.
 */
export interface Plugin {
  readonly name: string;
  serve(query: Query, next: Handler): Outcome | Promise<Outcome>;
  /** False while the plugin cannot answer yet; absent = always ready. Asked by `ready`. */
  ready?(): boolean;
  /** URL of the page that the plugin serves over HTTP; printed at the start. */
  readonly page?: string;
  /**
   * True when answers of the compiled table may bypass this plugin: it neither changes nor must see them
   * (counting excepted). A plugin in front of the table without this sends every question down the slow path.
   */
  readonly transparent?: boolean;
  /** Questions of these classes reach the chain too; else all but IN are REFUSED. */
  readonly classes?: readonly RecordClass[];
  /** Messages with these opcodes reach the chain too; else all but QUERY get NOTIMP. */
  readonly opcodes?: readonly Opcode[];
  /** Told of each answer that left, whoever made it: for metrics and logs. Cheap; must not throw. */
  observe?(sent: SentReply): void;
  /** Told of each question to another server: for `dnstap`. Cheap; must not throw. */
  observeUpstream?(exchange: UpstreamExchange): void;
  /** Puts what it knows of a query into query.metadata; called when `metadata` is in the chain. */
  facts?(query: Query): void;
  /** Offers zones to `transfer`. */
  readonly zoneSource?: ZoneSource;
  /** Offers search paths to `autopath @name`. */
  searchPath?(query: Query): readonly string[] | undefined;
  /** Offers the search path that the question itself tells, to `autopath @question`. */
  searchPathOfQuestion?(query: Query): readonly string[] | undefined;
  /** Must see names below namespaces that the table would deny: they may come from a search path. */
  readonly walksSearchPath?: boolean;
  /** Called once when every plugin of the chain is open and may be looked at. */
  opened?(): void;
  /** Names compiled to flat memory, for engines that answer without a chain. */
  compiled?(around: TableSurroundings): CompiledNames | undefined;
  /**
   * Which clients' questions may bypass this plugin, in place of `transparent`: the others take the slow path. What
   * was answered that way is told by `answeredFromTable`.
   */
  readonly gate?: readonly GatePolicy[] | undefined;
  /** In place of `transparent`: which answers of the table it is told of, soon after they were sent. */
  readonly watch?: AnswerWatcher | undefined;
  /** So many more questions of the block and this listener were answered past it. Called before metrics are read. */
  answeredFromTable?(count: number, listener: string): void;
  /** Put into the answers of the compiled table for those who ask which server this is (`nsid`). */
  readonly serverId?: Uint8Array;
  /** Zones answered here even though the block's table of cluster names lies behind. */
  readonly ownsZones?: readonly string[];
  /** Called once when the server is told to stop, before it does; the server goes on answering until it resolves. */
  lameduck?(): Promise<void>;
  /** Releases timers, files, sockets. Called once, after the last question has ended. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

export interface CompiledNames {
  readonly table: PackedTable;
  readonly options: ReaderOptions;
}

/** A question that has been dealt with. */
export interface SentReply {
  /** As it came from the client. */
  readonly query: Query;
  readonly requestBytes: Uint8Array;
  readonly outcome: Outcome;
  /** What was sent; both undefined when nothing was. */
  readonly reply: Message | undefined;
  readonly replyBytes: Uint8Array | undefined;
  readonly durationMs: number;
}

/** A question that was sent to another server, and the answer if one came. */
export interface UpstreamExchange {
  /** On whose behalf. */
  readonly query: Query;
  readonly upstream: Peer;
  /** Where it was sent from; undefined where that is not known. */
  readonly local: Peer | undefined;
  readonly protocol: 'udp' | 'tcp' | 'tcp-tls' | 'https';
  readonly requestBytes: Uint8Array;
  readonly reply: Message | undefined;
  readonly durationMs: number;
}

/** A zone that can be transferred (RFC 5936). */
export interface ZoneSource {
  readonly zones: readonly string[];
  /** Every record, the SOA first and not repeated at the end; undefined when the zone is not (yet) there. */
  records(zone: string): Iterable<ResourceRecord> | undefined;
  serial(zone: string): number | undefined;
  /** Calls back with the zone after each change of its serial. */
  subscribe?(listener: (zone: string) => void): Disposable;
}

/** Given to `setup`: the stanza, the block it stands in and where to report faults. */
export interface SetupContext {
  readonly stanza: Line;
  readonly block: BlockSettings;
  /** CoreDNS's oddities to the letter. */
  readonly strict: boolean;
  /** Folder of the Corefile, against which relative paths are read. */
  readonly root: string;
  /** Reports and goes on: all faults of a Corefile are shown together. */
  fault(at: Token, message: string): void;
}

/** Given to a plugin when the server opens: collaborators and its neighbours. */
export interface PluginDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  /** 0 <= x < 1, for shuffling; ids and ports come from node:crypto. */
  readonly random: () => number;
  readonly snapshots: SnapshotSource;
  readonly block: BlockSettings;
  /** Query.listener of the block's first key. */
  readonly listener: string;
  readonly chain: ChainView;
  readonly host: HostView;
}

/** The other plugins of the same chain; complete once every plugin is open. */
export interface ChainView {
  plugin(name: string): Plugin | undefined;
  readonly plugins: readonly Plugin[];
}

/** What the readers of one listener's table have counted. */
export interface FastSample {
  readonly listener: string;
  readonly proto: 'udp' | 'tcp';
  readonly block: BlockSettings;
  /** Zones of server blocks, in the order of the counts. */
  readonly zones: readonly string[];
  /** A copy of the words that `zoneCounts` reads. */
  words(): Float64Array;
}

/** What a plugin may ask of the server as a whole. */
export interface HostView {
  /** Asks the whole server (block choice and full chain) on behalf of query. */
  resolve(query: Query, question: Question): Promise<Message>;
  /** Addresses the server listens on, wildcards expanded. */
  readonly addresses: readonly string[];
  /** What the fast path answered in this server's blocks since they opened. */
  fastCounts(): readonly FastSample[];
  /** Search list of the host; undefined = that of /etc/resolv.conf. */
  readonly searchDomains: readonly string[] | undefined;
  /** Every open plugin of every block. */
  allPlugins(): readonly Plugin[];
  /** A key of the server's `tsig`, for questions of our own. */
  tsigKey(name: string): TsigKey | undefined;
  /** True from the first stop signal on. */
  readonly draining: boolean;
  /** One value a server under a key: for plugins of several blocks that share a port or a cache. Disposed last. */
  shared<T extends AsyncDisposable>(key: string, open: () => T): T;
  /** Of the Corefile as it was read, imports included; in hexadecimal. */
  readonly corefileSha512: string;
  /** Asks the server to stop with this reason (`loop`). */
  fail(reason: string): void;
  /** Reads the Corefile again if it has changed; false when it is bad and the old one stays. */
  reload(): Promise<boolean>;
}

/**
 * A directive of the Corefile. `setup` is pure: it reads the stanza, reports faults, and returns what opens the
 * plugin, or undefined when the directive only sets something on the block. Nothing is opened before the whole
 * Corefile is known to be good.
 */
export interface Directive {
  readonly name: string;
  /** May stand several times in one block; each gets its own link. Default false. */
  readonly repeatable?: boolean;
  setup(context: SetupContext): OpenPlugin | undefined;
}

export type OpenPlugin = (deps: PluginDeps) => Plugin | Promise<Plugin>;
