import { Buffer } from 'node:buffer';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import type { Store } from '../../../store/store.ts';

const PREFIX = '/weft/claims/';

/**
 * Locks in the store, one key for each node port a Service holds, with its owner as value. Only their creation
 * matters: of two servers that pick the same one at the same time, one is told that it has lost it.
 */
export class Claims {
  readonly #store: Store;
  readonly #log: Logger;
  /** Owners, as far as this server knows: what others give back it learns when it asks. */
  readonly #taken = new Map<string, string>();
  readonly #leaving = new Map<string, Promise<void>>();

  static async open(deps: { store: Store; log: Logger }): Promise<Claims> {
    const claims = new Claims(deps);
    const { entries } = await deps.store.range(PREFIX);
    for (const { key, value } of entries) claims.#taken.set(key.slice(PREFIX.length), textOf(value));
    return claims;
  }

  private constructor(deps: { store: Store; log: Logger }) {
    this.#store = deps.store;
    this.#log = deps.log;
  }

  isTaken(name: string): boolean {
    return this.#taken.has(name);
  }

  /** All or nothing: returns those that another server took first, none when all are taken now. */
  async take(names: readonly string[], owner: string): Promise<string[]> {
    const value = Buffer.from(owner, 'utf8');
    for (const name of names) this.#taken.set(name, owner);
    const results = await Promise.all(names.map((name) => this.#store.put(PREFIX + name, value, 0)));
    const lost: string[] = [];
    for (const [index, name] of names.entries()) {
      const result = results[index];
      if (!result || result.ok) continue;
      lost.push(name);
      if (result.current) this.#taken.set(name, textOf(result.current.value));
    }
    if (lost.length > 0) {
      const won = names.filter((name) => !lost.includes(name));
      await this.release(won, owner);
    }
    return lost;
  }

  /** Asks the store whether somebody still has it, after what is being given back now. */
  async refresh(name: string): Promise<void> {
    await this.#leaving.get(name);
    await this.#read(name);
  }

  async #read(name: string): Promise<void> {
    const { entry } = await this.#store.get(PREFIX + name);
    if (entry) this.#taken.set(name, textOf(entry.value));
    else this.#taken.delete(name);
  }

  /** Gives back what this owner holds of them. */
  async release(names: readonly string[], owner: string): Promise<void> {
    const own = names.filter((name) => this.#taken.get(name) === owner);
    await Promise.all(
      own.map(async (name) => {
        const removal = this.#remove(name, owner).catch((error: unknown) => {
          // The repair loop frees what is left here.
          this.#log.warn('claim not released', { name, reason: messageOf(error) });
        });
        this.#leaving.set(name, removal);
        await removal;
        if (this.#leaving.get(name) === removal) this.#leaving.delete(name);
      }),
    );
  }

  async #remove(name: string, owner: string): Promise<void> {
    const { entry } = await this.#store.get(PREFIX + name);
    // By revision: another server may have freed it and given it to somebody else.
    if (entry && textOf(entry.value) === owner) await this.#store.delete(PREFIX + name, entry.modRevision);
    await this.#read(name);
  }

  /** Names and owners now, for the repair loop. */
  entries(): readonly (readonly [string, string])[] {
    return [...this.#taken];
  }
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
}
