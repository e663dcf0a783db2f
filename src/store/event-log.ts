import type { StoreEntry, StoreEvent } from './store.ts';

/** One write of one key. */
export interface Version {
  readonly revision: number;
  readonly key: string;
  /** undefined = deleted. */
  readonly entry: StoreEntry | undefined;
  /** The version before, while history knows it. */
  older: Version | undefined;
}

/** What watchers are told of a version that is not compacted. Made when asked for: most versions never are. */
export function eventOf({ revision, key, entry, older }: Version): StoreEvent {
  const previous = older?.entry;
  if (entry) return { type: 'put', entry, previous, revision };
  if (!previous) throw new Error(`delete of the absent key ${key} at revision ${revision}`);
  return { type: 'delete', key, previous, revision };
}

/** Versions in order of revision without gaps: the event of a revision is found by subtraction. */
export class EventLog {
  #versions: Version[] = [];
  #head = 0;
  #lastRevision: number;

  constructor(lastRevision: number) {
    this.#lastRevision = lastRevision;
  }

  get lastRevision(): number {
    return this.#lastRevision;
  }

  /** Revision of the oldest event; lastRevision + 1 when there is none. */
  get firstRevision(): number {
    return this.#lastRevision - this.size + 1;
  }

  get size(): number {
    return this.#versions.length - this.#head;
  }

  append(version: Version): void {
    if (version.revision !== this.#lastRevision + 1) {
      throw new Error(`revision ${version.revision} does not follow ${this.#lastRevision}`);
    }
    this.#versions.push(version);
    this.#lastRevision = version.revision;
  }

  at(revision: number): StoreEvent | undefined {
    const version = this.#versions[this.#head + revision - this.firstRevision];
    return version && eventOf(version);
  }

  shift(): Version | undefined {
    if (this.size === 0) return undefined;
    const version = this.#versions[this.#head]!;
    this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#versions.length) {
      this.#versions = this.#versions.slice(this.#head);
      this.#head = 0;
    }
    return version;
  }
}
