import { canonicalAddress, familyOf, parseAddress } from '../../../src/net/ip.ts';
import { reverseNameOf } from '../../cluster/reverse-name.ts';
import { foldName, parentName, parseName } from '../../wire/name.ts';

interface Known {
  readonly v4: string[];
  readonly v6: string[];
}

/** Addresses by name and names by address, as hosts(5) says them. `*.name` stands for every name one label below. */
export class HostsTable {
  readonly #byName = new Map<string, Known>();
  readonly #byReverse = new Map<string, string[]>();

  static read(...texts: readonly string[]): HostsTable {
    const table = new HostsTable();
    for (const text of texts) for (const line of text.split('\n')) table.#line(line);
    return table;
  }

  get size(): number {
    return this.#byName.size + this.#byReverse.size;
  }

  addresses(name: string): Known | undefined {
    return this.#byName.get(name) ?? this.#byName.get(`*.${parentName(name)}`);
  }

  names(reverse: string): readonly string[] {
    return this.#byReverse.get(reverse) ?? [];
  }

  #line(line: string): void {
    const [text, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const address = canonicalAddress((text ?? '').replace(/%.*/, ''));
    if (!address) return;
    for (const word of names) {
      const name = parseName(word);
      if (name !== undefined) this.#add(address, name);
    }
  }

  #add(address: string, name: string): void {
    const folded = foldName(name);
    const known = this.#byName.get(folded) ?? { v4: [], v6: [] };
    this.#byName.set(folded, known);
    const list = familyOf(address) === 'IPv4' ? known.v4 : known.v6;
    if (!list.includes(address)) list.push(address);
    if (folded.startsWith('*.')) return;
    const reverse = reverseNameOf(parseAddress(address)!);
    const names = this.#byReverse.get(reverse) ?? [];
    if (!names.includes(name)) this.#byReverse.set(reverse, [...names, name]);
  }
}
