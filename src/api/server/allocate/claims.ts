import { Buffer } from 'node:buffer';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import type { Store } from '../../../store/store.ts';
import { conflict } from '../status.ts';

const PREFIX = '/weft/claims/';
/** Owner of a claim another server was faster with. */
const SOMEBODY = '';

/**
 * Locks in the store, one key for each node port a Service holds. Only their creation matters: of two servers
 * that pick the same one at the same time, one fails and the client tries again.
 */
export class Claims {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #taken = new Map<string, string>();

  static async open(deps: { store: Store; log: Logger }): Promise<Claims> {
    const claims = new Claims(deps);
    const { entries } = await deps.store.range(PREFIX);
    for (const { key, value } of entries) {
      claims.#taken.set(key.slice(PREFIX.length), Buffer.from(value).toString('utf8'));
    }
    return claims;
  }

  private constructor(deps: { store: Store; log: Logger }) {
    this.#store = deps.store;
    this.#log = deps.log;
  }

  isTaken(name: string): boolean {
    return this.#taken.has(name);
  }

  /** All or nothing; 409 when another server was faster. */
  async take(names: readonly string[], owner: string): Promise<void> {
    const value = Buffer.from(owner, 'utf8');
    for (const name of names) this.#taken.set(name, owner);
    const results = await Promise.all(names.map((name) => this.#store.put(PREFIX + name, value, 0)));
    const lost = names.filter((_, index) => !results[index]!.ok);
    if (lost.length === 0) return;
    await this.release(
      names.filter((name) => !lost.includes(name)),
      owner,
    );
    for (const name of lost) this.#taken.set(name, SOMEBODY);
    throw conflict(
      { group: '', plural: 'services' },
      owner.split('/')[1] ?? '',
      `${lost.join(', ')} was allocated at the same time; try again`,
    );
  }

  /** Gives back what this owner holds of them. */
  async release(names: readonly string[], owner: string): Promise<void> {
    const own = names.filter((name) => this.#taken.get(name) === owner);
    await Promise.all(
      own.map(async (name) => {
        try {
          await this.#store.delete(PREFIX + name);
          this.#taken.delete(name);
        } catch (error) {
          // The repair loop frees what is left here.
          this.#log.warn('claim not released', { name, reason: messageOf(error) });
        }
      }),
    );
  }

  /** Names and owners now, for the repair loop. */
  entries(): readonly (readonly [string, string])[] {
    return [...this.#taken];
  }
}
