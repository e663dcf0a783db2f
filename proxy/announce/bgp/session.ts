import { connect as netConnect, type Socket } from 'node:net';
import { backoffDelayMs } from '../../../src/base/backoff.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Cidr } from '../../../src/net/cidr.ts';
import { type Family, joinHostPort } from '../../../src/net/ip.ts';
import {
  BGP_CONNECT_DEADLINE_MS,
  BGP_OPEN_HOLD_SECONDS,
  BGP_RETRY_MAX_MS,
  BGP_RETRY_MIN_MS,
} from '../limits.ts';
import { type BgpFault, decodeBgp, messageLength } from './decode.ts';
import { encodeBgp } from './encode.ts';
import { type BgpMessage, ERROR, notificationText, type OpenMessage } from './message.ts';
import { Table } from './table.ts';

export interface BgpPeer {
  readonly address: string;
  readonly port: number;
  readonly autonomousSystem: number;
}

export interface SessionOptions {
  readonly autonomousSystem: number;
  /** An IPv4 address that no other speaker has. */
  readonly routerId: string;
  readonly peer: BgpPeer;
  readonly holdSeconds: number;
  readonly restartSeconds: number;
  /** Packets go on being forwarded while this process is away: peers may keep our routes (RFC 4724). */
  readonly keepsForwarding: boolean;
  /** What peers are told to send packets to; a family without one takes the session's own address, if that is of it. */
  readonly nextHops: Readonly<Partial<Record<Family, string>>>;
  /** `65000:100` of RFC 1997. */
  readonly communities: readonly string[];
}

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Told of each change of state. */
  readonly onState: (state: SessionState) => void;
  readonly connect?: typeof netConnect;
}

/** Names of RFC 4271 section 8.2.2. */
export type SessionState = 'idle' | 'connect' | 'open-sent' | 'open-confirm' | 'established';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
const CEASE_SHUTDOWN = { code: ERROR.cease, subcode: 2, reason: 'shutting down' } as const;

/** Keeps one peer told of our prefixes: connects, again and again, and sends what differs. Takes no routes in. */
export class BgpSession implements Disposable {
  readonly #deps: SessionDeps;
  readonly #options: SessionOptions;
  #wanted: ReadonlyMap<string, Cidr> = new Map();
  #state: SessionState = 'idle';
  #socket: Socket | undefined;
  #received: Uint8Array = new Uint8Array(0);
  #fourByteAs = false;
  #table: Table | undefined;
  #holdMs = 0;
  #holdTimer: Disposable | undefined;
  #keepaliveTimer: Disposable | undefined;
  #retryTimer: Disposable | undefined;
  #failures = 0;
  #hadSession = false;
  #disposed = false;

  constructor(deps: SessionDeps, options: SessionOptions) {
    const { peer } = options;
    const log = deps.log.with({ part: 'bgp', peer: joinHostPort(peer.address, peer.port) });
    this.#deps = { ...deps, log };
    this.#options = options;
    this.#connect();
  }

  get state(): SessionState {
    return this.#state;
  }

  /** By text; sends the difference now, or all when the session comes up. */
  announce(prefixes: ReadonlyMap<string, Cidr>): void {
    this.#wanted = prefixes;
    this.#sendDifference();
  }

  /**
   * With keepsForwarding the connection just closes, so that the peer keeps the routes until we are back or the restart
   * time has passed; else the peer is told and withdraws them at once.
   */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#options.keepsForwarding && this.#state === 'established') this.#close();
    else this.#fail(CEASE_SHUTDOWN);
    this.#retryTimer?.[Symbol.dispose]();
  }

  #connect(): void {
    const { peer } = this.#options;
    const { clock, connect = netConnect } = this.#deps;
    this.#become('connect');
    const socket = connect({ host: peer.address, port: peer.port, noDelay: true });
    this.#socket = socket;
    this.#holdTimer = clock.setTimer(BGP_CONNECT_DEADLINE_MS, () =>
      socket.destroy(new Error('no answer in time')),
    );
    let reason = 'the peer closed the connection';
    socket.on('error', (error) => (reason = error.message));
    socket.on('connect', () => this.#open());
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('close', () => {
      if (this.#socket === socket) this.#ended(reason);
    });
  }

  #open(): void {
    const { autonomousSystem, holdSeconds, routerId, restartSeconds, keepsForwarding } = this.#options;
    const families = FAMILIES.filter((family) => this.#nextHop(family) !== undefined);
    this.#become('open-sent');
    this.#holdFor(BGP_OPEN_HOLD_SECONDS * 1000);
    this.#send({
      type: 'open',
      autonomousSystem,
      holdSeconds,
      routerId,
      capabilities: {
        families,
        fourByteAs: true,
        routeRefresh: true,
        gracefulRestart: {
          restarted: !this.#hadSession,
          seconds: restartSeconds,
          forwarding: keepsForwarding ? families : [],
        },
      },
    });
  }

  #nextHop(family: Family): string | undefined {
    const own = this.#socket?.localAddress;
    const isOwn = own !== undefined && own.includes(':') === (family === 'IPv6');
    return this.#options.nextHops[family] ?? (isOwn ? own : undefined);
  }

  #receive(bytes: Uint8Array): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    for (;;) {
      const length = messageLength(this.#received);
      if (!length) return;
      if ('fault' in length) return this.#fail(length.fault);
      if (this.#received.length < length.value) return;
      const message = this.#received.subarray(0, length.value);
      this.#received = this.#received.subarray(length.value);
      const decoded = decodeBgp(message, { fourByteAs: this.#fourByteAs });
      if ('fault' in decoded) return this.#fail(decoded.fault);
      this.#take(decoded.value);
      if (!this.#socket) return;
    }
  }

  #take(message: BgpMessage): void {
    if (message.type === 'notification') {
      const text = notificationText(message);
      this.#close();
      return this.#ended(`the peer says: ${text}`);
    }
    if (message.type === 'open' && this.#state === 'open-sent') return this.#takeOpen(message);
    if (message.type === 'keepalive' && this.#state === 'open-confirm') return this.#establish();
    if (this.#state !== 'established' || message.type === 'open')
      return this.#fail({
        code: ERROR.stateMachine,
        subcode: 0,
        reason: `${message.type} in ${this.#state}`,
      });
    this.#holdFor(this.#holdMs);
    // what the peer announces is its own affair: the host's routes are not ours to change
    if (message.type === 'route-refresh') {
      this.#table?.forget(message.family);
      this.#sendDifference();
    }
  }

  #takeOpen(open: OpenMessage): void {
    const { peer, holdSeconds, routerId } = this.#options;
    if (open.autonomousSystem !== peer.autonomousSystem) {
      const reason = `the peer is in AS ${open.autonomousSystem}, not ${peer.autonomousSystem}`;
      return this.#fail({ code: ERROR.open, subcode: 2, reason });
    }
    if (open.routerId === routerId)
      return this.#fail({ code: ERROR.open, subcode: 3, reason: `the peer has our router id ${routerId}` });
    const { families, fourByteAs } = open.capabilities;
    this.#fourByteAs = fourByteAs;
    this.#holdMs = Math.min(holdSeconds, open.holdSeconds) * 1000;
    const { autonomousSystem, communities } = this.#options;
    const nextHops = FAMILIES.flatMap((family) => {
      const hop = families.includes(family) ? this.#nextHop(family) : undefined;
      return hop === undefined ? [] : [[family, hop] as const];
    });
    const isInternal = autonomousSystem === open.autonomousSystem;
    this.#table = new Table({
      nextHops: new Map(nextHops),
      asPath: isInternal ? [] : [autonomousSystem],
      localPreference: isInternal ? 100 : undefined,
      communities,
    });
    this.#become('open-confirm');
    this.#holdFor(this.#holdMs);
    this.#keepalive();
  }

  #establish(): void {
    this.#become('established');
    this.#deps.log.info('session established', { announced: this.#wanted.size });
    this.#failures = 0;
    this.#hadSession = true;
    this.#holdFor(this.#holdMs);
    this.#sendDifference();
    for (const message of this.#table?.endOfRib() ?? []) this.#send(message);
  }

  #sendDifference(): void {
    if (this.#state !== 'established') return;
    for (const message of this.#table?.bringTo(this.#wanted) ?? []) this.#send(message);
  }

  #keepalive(): void {
    this.#send({ type: 'keepalive' });
    if (this.#holdMs === 0) return;
    this.#keepaliveTimer?.[Symbol.dispose]();
    this.#keepaliveTimer = this.#deps.clock.setTimer(this.#holdMs / 3, () => this.#keepalive());
  }

  /** 0: for ever. */
  #holdFor(holdMs: number): void {
    this.#holdTimer?.[Symbol.dispose]();
    const reason = `nothing heard for ${holdMs / 1000} s`;
    this.#holdTimer =
      holdMs === 0
        ? undefined
        : this.#deps.clock.setTimer(holdMs, () => this.#fail({ code: ERROR.holdTimer, subcode: 0, reason }));
  }

  #send(message: BgpMessage): void {
    this.#socket?.write(encodeBgp(message, { fourByteAs: this.#fourByteAs }));
  }

  /** Tells the peer why, closes, and tries again later. */
  #fail({ code, subcode, reason }: BgpFault): void {
    const isOpen = this.#socket !== undefined && this.#state !== 'connect';
    if (isOpen) this.#send({ type: 'notification', code, subcode, data: new Uint8Array(0) });
    this.#close();
    this.#ended(reason);
  }

  #close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.on('error', () => {}); // nobody is left to tell
    if (socket?.connecting) socket.destroy();
    else socket?.destroySoon();
  }

  #ended(reason: string): void {
    this.#socket = undefined;
    this.#received = new Uint8Array(0);
    this.#table = undefined;
    this.#fourByteAs = false;
    this.#holdTimer?.[Symbol.dispose]();
    this.#keepaliveTimer?.[Symbol.dispose]();
    const wasEstablished = this.#state === 'established';
    this.#become('idle');
    if (this.#disposed) return;
    const { log, clock, random } = this.#deps;
    const pace = { minMs: BGP_RETRY_MIN_MS, maxMs: BGP_RETRY_MAX_MS, jitter: 0.25, random };
    const retryMs = Math.round(backoffDelayMs(this.#failures++, pace));
    if (wasEstablished || this.#failures === 1) log.warn('no session', { reason, retryMs });
    else log.debug('still no session', { reason, retryMs });
    this.#retryTimer = clock.setTimer(retryMs, () => this.#connect());
  }

  #become(state: SessionState): void {
    this.#state = state;
    this.#deps.onState(state);
  }
}
