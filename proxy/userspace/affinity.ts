import type { Clock } from '../../src/base/clock.ts';
import { AFFINITY_CLIENTS_MAX } from '../limits.ts';

interface Held {
  readonly endpoint: string;
  readonly usedMs: number;
}

/** Which endpoint a client of one service port sticks to. The time limit slides with each new connection. */
export class AffinityTable {
  readonly #clock: Clock;
  readonly #clientsMax: number;
  /** In order of use, oldest first. */
  readonly #held = new Map<string, Held>();

  constructor(deps: { readonly clock: Clock }, options: { readonly clientsMax?: number } = {}) {
    this.#clock = deps.clock;
    this.#clientsMax = options.clientsMax ?? AFFINITY_CLIENTS_MAX;
  }

  get size(): number {
    return this.#held.size;
  }

  /** The client's endpoint (`ip:port`), unless the time limit has passed. */
  get(client: string, timeoutSeconds: number): string | undefined {
    const held = this.#held.get(client);
    if (!held) return undefined;
    if (this.#clock.monotonicMs() - held.usedMs < timeoutSeconds * 1000) return held.endpoint;
    this.#held.delete(client);
    return undefined;
  }

  hold(client: string, endpoint: string): void {
    this.#held.delete(client);
    this.#held.set(client, { endpoint, usedMs: this.#clock.monotonicMs() });
    if (this.#held.size > this.#clientsMax) this.#forgetOldest();
  }

  forget(client: string): void {
    this.#held.delete(client);
  }

  clear(): void {
    this.#held.clear();
  }

  #forgetOldest(): void {
    const oldest = this.#held.keys().next();
    if (!oldest.done) this.#held.delete(oldest.value);
  }
}
