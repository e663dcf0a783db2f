import { Fault } from '../../src/base/fault.ts';
import { encodeRdata } from '../wire/encode.ts';
import type { ResourceRecord, TypedRecord } from '../wire/message.ts';
import { foldName } from '../wire/name.ts';
import { ZONE_RECORDS } from './limits.ts';
import { isNewerSerial } from './serial.ts';

/** What a transfer brought. */
export type Transfer =
  /** There is nothing newer than what we have. */
  | { readonly kind: 'current' }
  /** The SOA once and first. */
  | { readonly kind: 'whole'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'changes'; readonly changes: ZoneChanges };

/** From one version of a zone to another. */
export interface ZoneChanges {
  /** By `recordKey`, SOAs left out. */
  readonly deleted: ReadonlySet<string>;
  readonly added: ReadonlyMap<string, ResourceRecord>;
  readonly soa: TypedRecord<'SOA'>;
}

/** Same owner, type and data = same record, whatever its ttl. */
export function recordKey(record: ResourceRecord): string {
  return `${foldName(record.name)} ${record.type} ${Buffer.from(encodeRdata(record)).toString('latin1')}`;
}

/**
 * Reads the answer to AXFR (RFC 5936) or IXFR (RFC 1995) as it comes. Whether an IXFR is answered with changes or with
 * the zone shows in its second record.
 */
export class TransferReader {
  readonly #zone: string;
  /** Of the version we have and asked to bring up to date. */
  readonly #serial: number | undefined;
  #soa: TypedRecord<'SOA'> | undefined;
  readonly #whole: ResourceRecord[] = [];
  readonly #deleted = new Set<string>();
  readonly #added = new Map<string, ResourceRecord>();
  #part: 'start' | 'whole' | 'deleted' | 'added' | 'end' = 'start';
  #count = 0;

  constructor(zone: string, serial: number | undefined) {
    this.#zone = zone;
    this.#serial = serial;
  }

  /** Takes the answers of one message; true when the transfer is complete. Throws Fault TRANSFER_FAILED. */
  take(records: readonly ResourceRecord[]): boolean {
    for (const record of records) {
      if (this.#part === 'end') throw broken('records follow the end');
      if (++this.#count > 2 * ZONE_RECORDS) throw broken(`more than ${2 * ZONE_RECORDS} records`);
      const soa = record.type === 'SOA' && foldName(record.name) === this.#zone ? record : undefined;
      if (soa) this.#takeSoa(soa);
      else this.#takeOther(record);
    }
    return this.#part === 'end' || this.#isCurrent();
  }

  /** What came; throws Fault TRANSFER_FAILED when it is not complete. */
  result(): Transfer {
    if (this.#isCurrent()) return { kind: 'current' };
    if (this.#part !== 'end' || !this.#soa) throw broken(this.#soa ? 'it is not complete' : 'nothing came');
    if (this.#whole.length > 0) return { kind: 'whole', records: this.#whole };
    return { kind: 'changes', changes: { deleted: this.#deleted, added: this.#added, soa: this.#soa } };
  }

  /** A SOA alone that is not newer than ours. */
  #isCurrent(): boolean {
    const [ours, soa] = [this.#serial, this.#soa];
    return ours !== undefined && this.#count === 1 && !!soa && !isNewerSerial(soa.data.serial, ours);
  }

  #takeSoa(soa: TypedRecord<'SOA'>): void {
    const { serial } = soa.data;
    switch (this.#part) {
      case 'start':
        if (!this.#soa) this.#soa = soa;
        else if (this.#serial === serial) this.#part = 'deleted';
        // A zone with nothing but its SOA.
        else this.#endWhole();
        return;
      case 'whole':
        return this.#endWhole();
      case 'deleted':
        this.#part = 'added';
        return;
      case 'added':
      case 'end':
        this.#part = serial === this.#soa?.data.serial ? 'end' : 'deleted';
    }
  }

  #endWhole(): void {
    if (this.#whole.length === 0 && this.#soa) this.#whole.push(this.#soa);
    this.#part = 'end';
  }

  #takeOther(record: ResourceRecord): void {
    if (!this.#soa) throw broken('it does not start with the SOA');
    if (this.#part === 'start') {
      this.#part = 'whole';
      this.#whole.push(this.#soa);
    }
    if (this.#part === 'whole') {
      this.#whole.push(record);
      if (this.#whole.length > ZONE_RECORDS) throw broken(`more than ${ZONE_RECORDS} records`);
      return;
    }
    const key = recordKey(record);
    if (this.#part === 'deleted') {
      // What one step added and a later one deletes was never ours.
      if (!this.#added.delete(key)) this.#deleted.add(key);
    } else this.#added.set(key, record);
  }
}

function broken(reason: string): Fault {
  return new Fault('TRANSFER_FAILED', reason);
}
