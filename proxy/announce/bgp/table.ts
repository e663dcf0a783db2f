import type { Cidr } from '../../../src/net/cidr.ts';
import type { Family } from '../../../src/net/ip.ts';
import type { UpdateMessage } from './message.ts';

export interface TableOptions {
  /** Families of the session and where packets for them go. */
  readonly nextHops: ReadonlyMap<Family, string>;
  readonly asPath: readonly number[];
  readonly localPreference: number | undefined;
  readonly communities: readonly string[];
}

/** Prefixes in one UPDATE: far below the size limit for either family. */
const PREFIXES_MAX = 100;

/** What one peer has been told (its Adj-RIB-Out, RFC 4271 section 3.2). */
export class Table {
  readonly #options: TableOptions;
  #told = new Map<string, Cidr>();

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /** The UPDATEs that bring the peer to these prefixes. Families the session does not have are left out. */
  bringTo(wanted: ReadonlyMap<string, Cidr>): readonly UpdateMessage[] {
    const { nextHops } = this.#options;
    const next = new Map([...wanted].filter(([, { family }]) => nextHops.has(family)));
    const withdrawn = [...this.#told].flatMap(([key, prefix]) => (next.has(key) ? [] : [prefix]));
    const announced = [...next].flatMap(([key, prefix]) => (this.#told.has(key) ? [] : [prefix]));
    this.#told = next;
    return [...nextHops.keys()].flatMap((family) => [
      ...chunks(withdrawn, family).map((part) => this.#update(family, part, [])),
      ...chunks(announced, family).map((part) => this.#update(family, [], part)),
    ]);
  }

  /** The peer asks for all again (RFC 2918). */
  forget(family: Family | undefined): void {
    for (const [key, prefix] of this.#told)
      if (family === undefined || prefix.family === family) this.#told.delete(key);
  }

  endOfRib(): readonly UpdateMessage[] {
    return [...this.#options.nextHops.keys()].map((family) => ({
      type: 'update',
      withdrawn: [],
      announced: [],
      path: undefined,
      endOf: family,
    }));
  }

  #update(family: Family, withdrawn: readonly Cidr[], announced: readonly Cidr[]): UpdateMessage {
    const { nextHops, asPath, localPreference, communities } = this.#options;
    const nextHop = nextHops.get(family) ?? '';
    const path = announced.length > 0 ? { asPath, nextHop, localPreference, communities } : undefined;
    return { type: 'update', withdrawn, announced, path, endOf: undefined };
  }
}

function chunks(prefixes: readonly Cidr[], family: Family): readonly (readonly Cidr[])[] {
  const own = prefixes.filter((prefix) => prefix.family === family);
  return Array.from({ length: Math.ceil(own.length / PREFIXES_MAX) }, (_, i) =>
    own.slice(i * PREFIXES_MAX, (i + 1) * PREFIXES_MAX),
  );
}
