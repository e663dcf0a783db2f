import { messageOf } from '../../src/base/fault.ts';
import { TlsContext } from '../../src/net/native/tls-context.ts';
import { TLS_NAMES_REMEMBERED_MAX } from './limits.ts';
import type { FromWorker } from './messages.ts';
import type { NameAnswered, SentTls } from './tls-messages.ts';

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
  readonly #post: (message: FromWorker) => void;
  readonly #known = new Map<string, NameTls>();
  readonly #waiting = new Map<string, NameWaiter[]>();
  #contexts = new Map<number, TlsContext>();
  /** Of the table before: those nobody has asked for again go with the next one. */
  #before = new Map<number, TlsContext>();

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** Tells the waiter: now, or when the main thread has answered. */
  ask(name: string, waiter: NameWaiter): void {
    const known = this.#known.get(name);
    if (known) return waiter.named(known);
    const waiting = this.#waiting.get(name);
    if (waiting) return void waiting.push(waiter);
    this.#waiting.set(name, [waiter]);
    this.#post({ kind: 'name', name });
  }

  answered({ name, tls }: NameAnswered): void {
    const known = tls ? this.#nameTls(tls) : PORTABLE;
    if (this.#known.size >= TLS_NAMES_REMEMBERED_MAX) this.clear();
    this.#known.set(name, known);
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const waiter of waiting) waiter.named(known);
  }

  /** What was heard holds no more. */
  clear(): void {
    this.#known.clear();
    for (const context of this.#before.values()) context[Symbol.dispose]();
    this.#before = this.#contexts;
    this.#contexts = new Map();
  }

  [Symbol.dispose](): void {
    this.clear();
    this.clear();
  }

  #nameTls(tls: SentTls): NameTls {
    try {
      const asks = tls.clients !== undefined;
      const { clientAuthority, checkedBy } = tls;
      return { context: this.#context(tls), clientAuthority, checkedBy, asks };
    } catch (error) {
      this.#post({ kind: 'tls-unusable', reason: messageOf(error) });
      return PORTABLE;
    }
  }

  #context(tls: SentTls): TlsContext {
    const { id } = tls;
    const known =
      this.#contexts.get(id) ?? this.#before.get(id) ?? TlsContext.open({ ...tls, protocol: FAST_PROTOCOL });
    this.#before.delete(id);
    this.#contexts.set(id, known);
    return known;
  }
}
