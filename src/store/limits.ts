/** Limits of every store. What happens at each is documented in docs/store.md and tested in test/store. */

/** A longer key is Fault STORE_INVALID. */
export const KEY_BYTES_MAX = 4096;
/** A larger value is Fault STORE_INVALID. With the key it stays under etcd's request limit of 1.5 MiB. */
export const VALUE_BYTES_MAX = 1_500_000;

/** History kept without a compaction by the user; past it the oldest quarter is compacted by the store. */
export const HISTORY_EVENTS_MAX = 250_000;
export const HISTORY_BYTES_MAX = 128 * 1024 * 1024;

/** A commit takes at most this much; the rest waits for the next one. */
export const BATCH_WRITES_MAX = 1024;
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** More waiting writes than this are refused with STORE_UNAVAILABLE: the disk does not keep up. */
export const QUEUE_WRITES_MAX = 100_000;
export const QUEUE_BYTES_MAX = 256 * 1024 * 1024;

/** A watch batch carries at most this many events. */
export const WATCH_BATCH_EVENTS_MAX = 1000;
/** A watcher looks at most at this many events before it reports progress. */
export const WATCH_SCAN_EVENTS_MAX = 20_000;
/** A watcher whose keys do not change hears of the newest revision this often. */
export const WATCH_PROGRESS_INTERVAL_MS = 1000;

export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;

/** Compaction works in slices of this many revisions, so that no write waits longer than one slice. */
export const COMPACT_SLICE_EVENTS = 500;

/** One attempt of one request to etcd. */
export const ETCD_REQUEST_TIMEOUT_MS = 7_000;
/** Waiting for a connection to one member before the next one is tried. */
export const ETCD_CONNECT_TIMEOUT_MS = 2_000;
/** A call that may be repeated is repeated for this long. */
export const ETCD_RETRY_TIME_MS = 10_000;
/** Entries a list asks of etcd at a time. */
export const ETCD_PAGE_ENTRIES = 1_000;
/** A watch asks for progress this often while nothing happens, where the server's answer can be trusted. */
export const ETCD_PROGRESS_INTERVAL_MS = 1_000;
