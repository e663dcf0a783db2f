import type { Clock } from '../../src/base/clock.ts';
import { Arena } from '../../src/net/native/arena.ts';
import type { EpollLoop } from '../../src/net/native/epoll-loop.ts';
import { Handshakes } from '../../src/net/native/handshakes.ts';
import type { Scratch } from '../../src/net/native/outbox.ts';
import type { BridgeRoom } from '../../src/net/native/tls-bridge.ts';
import type { TlsSessions } from '../../src/net/native/tls-sessions.ts';
import type { Tallies } from '../observe/tallies.ts';
import { RequestIds } from '../relay/request-id.ts';
import type { GlobalSettings } from '../settings.ts';
import { IdleBudget } from '../upstream/pool.ts';
import type { ClientConnection } from './client-connection.ts';
import { Composer } from './composer.ts';
import { KeptSlots } from './kept-slots.ts';
import {
  CLIENTS_REMEMBERED_MAX,
  FAST_FIELDS_MAX,
  FAST_HEAD_BYTES_MAX,
  HEADROOM_BYTES,
  KEPT_SLOT_BYTES,
  KEPT_SLOTS,
  RECEIVE_BYTES,
  SPARE_RELAYS_MAX,
} from './limits.ts';
import { COUNT, type FromWorker } from './messages.ts';
import { RequestScan } from './request-scan.ts';
import type { RequestRelay } from './request-relay.ts';
import { clientFields, RequestWriter } from './request-writer.ts';
import { ResponseScan } from './response-scan.ts';
import { TlsNames } from './tls-names.ts';
import type { TlsOpening } from './tls-opening.ts';
import { WorkerTable } from './worker-table.ts';

/** After what was read: the line end of a chunk. */
const TAILROOM_BYTES = 64;

export interface WorkerContextDeps {
  readonly loop: EpollLoop;
  readonly clock: Clock;
  readonly sessions: TlsSessions;
  readonly counts: Float64Array;
  readonly tallies: Tallies;
  readonly post: (message: FromWorker) => void;
}

/** What the connections of one worker share: its memory, its scanners, its table. Nothing in it survives an event. */
export class WorkerContext implements BridgeRoom {
  readonly loop: EpollLoop;
  readonly clock: Clock;
  readonly arena = new Arena(
    2 * (HEADROOM_BYTES + RECEIVE_BYTES + TAILROOM_BYTES) + RECEIVE_BYTES + KEPT_SLOTS * KEPT_SLOT_BYTES + 64,
  );
  /** The arena, for who reads or writes text there. */
  readonly text = Buffer.from(this.arena.bytes.buffer, this.arena.bytes.byteOffset, this.arena.bytes.length);
  /** Reads go here: RECEIVE_BYTES, HEADROOM_BYTES before and TAILROOM_BYTES behind them. */
  readonly receiveAt: number;
  readonly receiveBytes = RECEIVE_BYTES;
  /** Heads are written here, with the bytes of the body that go along. */
  readonly writeAt: number;
  readonly scratch: Scratch;
  readonly keptSlots: KeptSlots;
  readonly request = new RequestScan();
  readonly response = new ResponseScan();
  readonly writer: RequestWriter;
  readonly table = new WorkerTable();
  readonly composer: Composer;
  readonly names: TlsNames;
  readonly sessions: TlsSessions;
  readonly tallies: Tallies;
  /**
   * In no order; each knows its place. A Set would do, but one that others come to and leave all the time has the
   * collector promote whatever was ever in it (its tables point to their successors).
   */
  readonly clients: ClientConnection[] = [];
  readonly counts: Float64Array;
  idleBudget = new IdleBudget(0);
  readonly openings = new Handshakes<TlsOpening>();
  draining = false;
  readonly post: (message: FromWorker) => void;
  /** The line of Strict-Transport-Security, where the settings have one. */
  transportSecurityField: Uint8Array = new Uint8Array();
  #settings: GlobalSettings | undefined;
  #lines: string[] = [];
  readonly #relays: RequestRelay[] = [];
  readonly #clientFields = new Map<string, Uint8Array>();

  constructor(deps: WorkerContextDeps) {
    const { loop, clock, sessions, counts, tallies, post } = deps;
    this.sessions = sessions;
    this.names = new TlsNames({
      post,
      nowMs: () => clock.nowMs(),
      isStapling: () => this.settings.enableOcsp,
    });
    this.clock = clock;
    this.loop = loop;
    this.counts = counts;
    this.tallies = tallies;
    this.post = post;
    const room = HEADROOM_BYTES + RECEIVE_BYTES + TAILROOM_BYTES;
    this.receiveAt = this.arena.allocate(room) + HEADROOM_BYTES;
    this.writeAt = this.arena.allocate(room);
    this.scratch = { arena: this.arena, at: this.arena.allocate(RECEIVE_BYTES), sizeBytes: RECEIVE_BYTES };
    this.keptSlots = new KeptSlots(this.arena, counts);
    this.writer = new RequestWriter(this.arena.bytes);
    this.composer = new Composer({
      clock,
      random: Math.random,
      requestIds: new RequestIds(),
      table: this.table,
    });
  }

  /** Throws before the first table: nobody is served before it. */
  get settings(): GlobalSettings {
    if (!this.#settings) throw new Error('no settings yet');
    return this.#settings;
  }

  set settings(settings: GlobalSettings) {
    const { limits } = settings.server;
    this.#settings = settings;
    this.transportSecurityField = Buffer.from(`Strict-Transport-Security: ${settings.hsts?.value ?? ''}\r\n`);
    this.request.limits = {
      headBytes: Math.min(FAST_HEAD_BYTES_MAX, limits.lineBytes, limits.totalBytes),
      fields: Math.min(FAST_FIELDS_MAX, limits.fields),
      underscores: settings.underscoresInHeaders,
    };
    if (this.idleBudget.max === 0) this.idleBudget = new IdleBudget(settings.upstreamIdleConnectionsMax);
  }

  get farewellMs(): number {
    return this.settings.server.idleMs;
  }

  nowMs(): number {
    return this.clock.monotonicMs();
  }

  /** A fault of ours, for the log. */
  broken(error: unknown): void {
    this.post({
      kind: 'broken',
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }

  /** A line of the access log; lines leave together at the end of a turn. */
  log(line: string): void {
    this.#lines.push(line);
  }

  /** At the end of each turn of the loop. */
  turned(): void {
    this.openings.turned();
    this.#flushLog();
  }

  #flushLog(): void {
    if (this.#lines.length === 0) return;
    this.post({ kind: 'log', lines: this.#lines });
    this.#lines = [];
  }

  /** A client was accepted. */
  opened(): void {
    this.counts[COUNT.ACCEPTED]!++;
    this.counts[COUNT.CONNECTIONS]!++;
  }

  /** It is gone, or somebody else's. */
  closed(): void {
    this.counts[COUNT.CONNECTIONS]!--;
  }

  /** It may send requests now. */
  joined(client: ClientConnection): void {
    client.place = this.clients.push(client) - 1;
  }

  left(client: ClientConnection, relay: RequestRelay): void {
    if (client.place < 0) return;
    const last = this.clients.pop()!;
    if (last !== client) this.clients[client.place] = last;
    last.place = client.place;
    client.place = -1;
    this.closed();
    const isFree = !relay.active && !relay.upstream;
    if (isFree && this.#relays.length < SPARE_RELAYS_MAX) this.#relays.push(relay);
  }

  /** One that a client left, which is cheaper than a new one. It may be in the middle of its last call, but does nothing more. */
  relayFor(client: ClientConnection): RequestRelay | undefined {
    const relay = this.#relays.pop();
    if (relay) relay.client = client;
    return relay;
  }

  /** Fields that say who the client is: the same for its next connection. */
  clientFields(address: string): Uint8Array {
    const known = this.#clientFields.get(address);
    if (known) return known;
    if (this.#clientFields.size >= CLIENTS_REMEMBERED_MAX) this.#clientFields.clear();
    const made = clientFields(address);
    this.#clientFields.set(address, made);
    return made;
  }
}
