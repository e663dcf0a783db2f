import { Fault } from '../base/fault.ts';
import { EventLog, eventOf } from './event-log.ts';
import type { Version } from './event-log.ts';
import { SortedRecords } from './sorted-records.ts';
import { STORE_COMPACTED, STORE_FUTURE } from './store.ts';
import type { RangeOptions, RangeResult, StoreEntry, StoreEvent } from './store.ts';

/** One write with its place in the order: what journals keep and what the index is built from. */
export interface StoreWrite {
  readonly revision: number;
  readonly key: string;
  /** undefined = the key was deleted. */
  readonly value: Uint8Array | undefined;
  readonly createRevision: number;
  /** 0 = none. */
  readonly leaseId: number;
}

/** Revision of a store nothing was written to, as in etcd. */
export const FIRST_REVISION = 1;

interface KeyRecord {
  readonly key: string;
  live: boolean;
  newest: Version;
}

/**
 * Every version of every key since the compacted revision, in memory. Each key holds its versions as a list from
 * the newest back; the log holds the same versions in order of revision, for watches and for compaction.
 */
export class Versions {
  readonly #records = new SortedRecords<KeyRecord>();
  readonly log: EventLog;
  #compacted: number;
  #liveKeys = 0;
  #valueBytes = 0;
  #historyBytes = 0;

  /** @param compacted everything up to here comes from `restore`, everything after it from `apply` */
  constructor(compacted: number, revision: number) {
    this.#compacted = compacted;
    this.log = new EventLog(revision);
  }

  get revision(): number {
    return this.log.lastRevision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get keyCount(): number {
    return this.#liveKeys;
  }

  get valueBytes(): number {
    return this.#valueBytes;
  }

  get historyBytes(): number {
    return this.#historyBytes;
  }

  current(key: string): StoreEntry | undefined {
    return this.#records.get(key)?.newest.entry;
  }

  /** The write's revision must be the next one. */
  apply(write: StoreWrite): StoreEvent {
    const record = this.#records.get(write.key);
    const older = record?.newest;
    const previous = older?.entry;
    const entry = entryOf(write);
    const version: Version = { revision: write.revision, key: write.key, entry, older };
    const event = eventOf(version);
    this.log.append(version);
    this.#install(record, version);
    if (previous) this.#historyBytes += previous.value.byteLength;
    return event;
  }

  /**
   * Loads a write at or below the compacted revision, in order. Returns the revisions it makes superfluous:
   * what an interrupted compaction had left to remove.
   */
  restore(write: StoreWrite): readonly number[] {
    const record = this.#records.get(write.key);
    const superfluous = record ? [record.newest.revision] : [];
    const entry = entryOf(write);
    const version: Version = { revision: write.revision, key: write.key, entry, older: undefined };
    if (entry) {
      this.#install(record, version);
      return superfluous;
    }
    if (record) {
      this.#install(record, version);
      this.#forget(record);
    }
    return [...superfluous, write.revision];
  }

  get(key: string, revision: number): StoreEntry | undefined {
    this.checkRevision(revision);
    const record = this.#records.get(key);
    return record && versionAt(record, revision)?.entry;
  }

  range(prefix: string, options: RangeOptions): RangeResult {
    const revision = options.revision || this.revision;
    this.checkRevision(revision);
    const limit = options.limit || Number.POSITIVE_INFINITY;
    const entries: StoreEntry[] = [];
    let more = false;
    for (const record of this.#records.scan(prefix, options.after)) {
      const entry = versionAt(record, revision)?.entry;
      if (!entry) continue;
      if (entries.length === limit) {
        more = true;
        break;
      }
      entries.push(entry);
    }
    const whole = !more && options.after === undefined;
    return { entries, revision, more, count: whole ? entries.length : this.#countAt(prefix, revision) };
  }

  /** @throws Fault STORE_COMPACTED or STORE_FUTURE */
  checkRevision(revision: number): void {
    if (revision > this.revision) {
      throw new Fault(STORE_FUTURE, `revision ${revision} is newer than the store's ${this.revision}`);
    }
    if (revision < this.#compacted) throw compactedFault(revision, this.#compacted);
  }

  /** From now on reads and watches below the revision fail; dropCompacted frees what they needed. */
  markCompacted(revision: number): void {
    this.#compacted = Math.max(this.#compacted, revision);
  }

  /** Frees at most `limit` revisions of the log; returns the writes no one can read any more, oldest first. */
  dropCompacted(limit: number): { readonly dropped: readonly number[]; readonly done: boolean } {
    const dropped: number[] = [];
    for (let taken = 0; taken < limit && this.log.firstRevision <= this.#compacted; taken++) {
      const version = this.log.shift();
      if (!version) break;
      const superseded = version.older?.entry;
      if (superseded) {
        dropped.push(superseded.modRevision);
        this.#historyBytes -= superseded.value.byteLength;
      }
      version.older = undefined;
      if (version.entry) continue;
      dropped.push(version.revision);
      const record = this.#records.get(version.key);
      if (record?.newest === version) this.#forget(record);
    }
    return { dropped, done: this.log.size === 0 || this.log.firstRevision > this.#compacted };
  }

  #install(record: KeyRecord | undefined, version: Version): void {
    const live = version.entry !== undefined;
    const before = record?.newest.entry;
    this.#liveKeys += Number(live) - Number(before !== undefined);
    this.#valueBytes += (version.entry?.value.byteLength ?? 0) - (before?.value.byteLength ?? 0);
    if (record) {
      record.newest = version;
      this.#records.setLive(record, live);
      return;
    }
    const added: KeyRecord = { key: version.key, live, newest: version };
    this.#records.insert(added);
  }

  #forget(record: KeyRecord): void {
    this.#records.remove(record);
  }

  /** Keys at a revision = keys now, undone by what happened since; or counted, when that is less work. */
  #countAt(prefix: string, revision: number): number {
    if (this.revision - revision > this.#records.size) return this.#countByScan(prefix, revision);
    let count = this.#records.countLive(prefix);
    for (let at = this.revision; at > revision; at--) {
      const event = this.log.at(at)!;
      if (event.type === 'delete') {
        if (event.key.startsWith(prefix)) count++;
      } else if (!event.previous && event.entry.key.startsWith(prefix)) count--;
    }
    return count;
  }

  #countByScan(prefix: string, revision: number): number {
    let count = 0;
    for (const record of this.#records.scan(prefix, undefined))
      if (versionAt(record, revision)?.entry) count++;
    return count;
  }
}

export function compactedFault(revision: number, compacted: number): Fault {
  return new Fault(STORE_COMPACTED, `revision ${revision} was compacted; history begins at ${compacted}`);
}

/** The entry a write leaves behind; undefined after a delete. */
export function entryOf(write: StoreWrite): StoreEntry | undefined {
  const { key, value, createRevision, revision: modRevision, leaseId } = write;
  if (!value) return undefined;
  if (leaseId === 0) return { key, value, createRevision, modRevision };
  return { key, value, createRevision, modRevision, leaseId: String(leaseId) };
}

function versionAt(record: KeyRecord, revision: number): Version | undefined {
  let version: Version | undefined = record.newest;
  while (version && version.revision > revision) version = version.older;
  return version;
}
