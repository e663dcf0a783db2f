import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { EmbeddedStore } from './embedded-store.ts';
import type { Journal } from './journal.ts';
import { HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX } from './limits.ts';
import type { Store } from './store.ts';
import { FIRST_REVISION, Versions } from './versions.ts';

/** A store that lives and dies with the process. */
export function openMemoryStore(
  deps: { clock: Clock; log: Logger },
  options: { historyEventsMax?: number; historyBytesMax?: number } = {},
): Store {
  const { historyEventsMax = HISTORY_EVENTS_MAX, historyBytesMax = HISTORY_BYTES_MAX } = options;
  const versions = new Versions(0, FIRST_REVISION);
  return new EmbeddedStore({ ...deps, versions, journal: noJournal }, { historyEventsMax, historyBytesMax });
}

/** Memory is as durable as a memory store gets. */
const noJournal: Journal = {
  commit: () => Promise.resolve(),
  noteCompacted: () => Promise.resolve(),
  drop: () => new Promise((resolve) => setImmediate(resolve)), // lets writes in between two slices
  fileBytes: () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
