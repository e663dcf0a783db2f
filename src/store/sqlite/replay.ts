import type { StoreWrite } from '../versions.ts';
import { FIRST_REVISION, Versions } from '../versions.ts';
import { corruptFault } from './faults.ts';

/** Builds the index from the rows of a file and checks what SQLite does not know. */
export class Replay {
  readonly versions: Versions;
  /** Rows that a compaction meant to remove when the process ended. */
  readonly superfluous: number[] = [];
  readonly #path: string;

  constructor(path: string, compacted: number) {
    this.#path = path;
    this.versions = new Versions(compacted, Math.max(compacted, FIRST_REVISION));
  }

  /** Takes the rows in order of revision. @throws Fault STORE_CORRUPT */
  add(write: StoreWrite): void {
    const { versions } = this;
    const wrong = whatIsWrong(versions, write);
    if (wrong) throw corruptFault(this.#path, `revision ${write.revision}: ${wrong}`);
    if (write.revision > versions.compacted) versions.apply(write);
    else for (const revision of versions.restore(write)) this.superfluous.push(revision);
  }
}

/** Invariants of the log that SQLite does not know. */
function whatIsWrong(versions: Versions, write: StoreWrite): string | undefined {
  const { revision, value, createRevision } = write;
  const previous = versions.current(write.key);
  if (revision <= versions.compacted) {
    if (value && previous && previous.createRevision !== createRevision) return 'its key was created twice';
    return createRevision > revision ? 'its key was created after it was written' : undefined;
  }
  if (revision !== versions.revision + 1) return `revision ${versions.revision + 1} is missing`;
  if (!value) return previous ? undefined : 'it deletes a key that does not exist';
  return createRevision === (previous?.createRevision ?? revision) ? undefined : 'its key was created twice';
}
