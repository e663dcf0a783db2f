import { messageOf } from '../../src/base/fault.ts';
import { TlsContext } from '../../src/net/native/tls-context.ts';
import { TLS_NAMES_REMEMBERED_MAX } from './limits.ts';
import { NameStaple } from './name-staple.ts';
import type { FromWorker } from './messages.ts';
import type { NameAnswered, SentTls, StapleAnswered } from './tls-messages.ts';

/** What a worker knows of a server name. */
export interface NameTls {
  /** undefined = connections are handed over before the handshake. */
  readonly context: TlsContext | undefined;
  readonly clientAuthority: string | undefined;
  /** As in TlsFacts. */
  readonly checkedBy: string | undefined;
  /** Clients are asked for certificates. */
  readonly asks: boolean;
}

/** Waits for what is said about a name. */
export interface NameWaiter {
  named(tls: NameTls): void;
}

/** The protocol the fast path speaks; a client that asks for another is handed over. */
export const FAST_PROTOCOL = 'http/1.1';

export interface TlsNamesDeps {
  readonly post: (message: FromWorker) => void;
  /** The wall clock. */
  readonly nowMs: () => number;
  /** Clients that ask are shown OCSP answers. */
  readonly isStapling: () => boolean;
}

/** A manner of speaking TLS, opened. */
interface Manner {
  readonly context: TlsContext;
  readonly staple: NameStaple;
}

const PORTABLE: NameTls = {
  context: undefined,
  clientAuthority: undefined,
  checkedBy: undefined,
  asks: false,
};

/**
 * Server names as one worker knows them. The main thread decides which certificate and rules a name has; it is asked once for
 * each name, and again after each change of the table. Contexts whose manner stays live on, and their tickets with them.
 */
export class TlsNames implements Disposable {
  readonly #deps: TlsNamesDeps;
  readonly #known = new Map<string, NameTls>();
  readonly #waiting = new Map<string, NameWaiter[]>();
  /** By the id of what was sent. */
  #manners = new Map<number, Manner>();
  /** Of the table before: those nobody has asked for again go with the next one. */
  #before = new Map<number, Manner>();

  constructor(deps: TlsNamesDeps) {
    this.#deps = deps;
  }

  /** Tells the waiter: now, or when the main thread has answered. */
  ask(name: string, waiter: NameWaiter): void {
    const known = this.#known.get(name);
    if (known) return waiter.named(known);
    const waiting = this.#waiting.get(name);
    if (waiting) return void waiting.push(waiter);
    this.#waiting.set(name, [waiter]);
    this.#deps.post({ kind: 'name', name });
  }

  answered({ name, tls }: NameAnswered): void {
    const known = tls ? this.#nameTls(name, tls) : PORTABLE;
    if (this.#known.size >= TLS_NAMES_REMEMBERED_MAX) this.clear();
    this.#known.set(name, known);
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const waiter of waiting) waiter.named(known);
  }

  stapled({ id, answer }: StapleAnswered): void {
    const manner = this.#manners.get(id) ?? this.#before.get(id);
    if (manner) manner.staple.answer = answer;
  }

  /** What was heard holds no more. */
  clear(): void {
    this.#known.clear();
    for (const { context } of this.#before.values()) context[Symbol.dispose]();
    this.#before = this.#manners;
    this.#manners = new Map();
  }

  [Symbol.dispose](): void {
    this.clear();
    this.clear();
  }

  #nameTls(name: string, tls: SentTls): NameTls {
    try {
      const asks = tls.clients !== undefined;
      const { clientAuthority, checkedBy } = tls;
      return { context: this.#context(name, tls), clientAuthority, checkedBy, asks };
    } catch (error) {
      this.#deps.post({ kind: 'tls-unusable', reason: messageOf(error) });
      return PORTABLE;
    }
  }

  #context(name: string, tls: SentTls): TlsContext {
    const { id } = tls;
    const known = this.#manners.get(id) ?? this.#before.get(id) ?? this.#open(tls);
    this.#before.delete(id);
    this.#manners.set(id, known);
    known.staple.serverName = name;
    return known.context;
  }

  #open(tls: SentTls): Manner {
    const { nowMs, isStapling, post } = this.#deps;
    const ask = (name: string): void => post({ kind: 'staple', name });
    const staple = new NameStaple({ nowMs, isWanted: isStapling, ask });
    const show = (): Uint8Array | undefined => staple.show();
    return { context: TlsContext.open({ ...tls, protocol: FAST_PROTOCOL, staple: show }), staple };
  }
}
