import type { PortCounts, TrafficCounts } from '../backend.ts';

type Counted = 'connections' | 'bytesIn' | 'bytesOut' | 'refused';
export type Reading = Partial<Record<Counted, number>>;

interface PortTotals {
  readonly own: Reading;
  readonly endpoints: Map<string, Reading>;
}

/**
 * Adds up what the kernel counts. Its counters begin again when what carries them (a rule, an element) is written anew:
 * the ledger goes on from where it was. What was counted between the last reading and a rewrite is lost.
 */
export class TrafficLedger {
  readonly #last = new Map<string, number>();
  readonly #ports = new Map<string, PortTotals>();
  #seen = new Set<string>();

  /** Begins a reading: what is not noted until `take` is forgotten. */
  begin(): void {
    this.#seen = new Set();
  }

  /** @param carrier names what counts in the kernel @param endpoint undefined: of the port as a whole */
  note(carrier: string, key: string, endpoint: string | undefined, reading: Reading): void {
    this.#seen.add(key);
    let totals = this.#ports.get(key);
    if (!totals) this.#ports.set(key, (totals = { own: {}, endpoints: new Map() }));
    let into = endpoint === undefined ? totals.own : totals.endpoints.get(endpoint);
    if (!into) totals.endpoints.set(endpoint ?? '', (into = {}));
    for (const [name, value] of Object.entries(reading) as [Counted, number][]) {
      const id = `${key} ${carrier} ${endpoint ?? ''} ${name}`;
      const last = this.#last.get(id) ?? 0;
      into[name] = (into[name] ?? 0) + (value < last ? value : value - last);
      this.#last.set(id, value);
    }
  }

  take(): readonly PortCounts[] {
    for (const key of this.#ports.keys()) if (!this.#seen.has(key)) this.#ports.delete(key);
    for (const id of this.#last.keys())
      if (!this.#seen.has(id.slice(0, id.indexOf(' ')))) this.#last.delete(id);
    return Array.from(
      this.#ports,
      ([key, { own, endpoints }]): PortCounts => ({
        key,
        ...own,
        endpoints: new Map<string, TrafficCounts>(endpoints),
      }),
    );
  }
}
