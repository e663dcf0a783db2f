/** Limits of the API client. Times in milliseconds unless the name says otherwise. */

/** A reply that is read whole (objects, list pages) may be this big; more fails with API_REPLY_TOO_LARGE. */
export const MAX_REPLY_BYTES = 512 * 1024 * 1024;
/** One watch event: the largest object a server stores is about 1.5 MB, doubled by managedFields. */
export const MAX_WATCH_EVENT_BYTES = 16 * 1024 * 1024;
/** Objects a list page; kubectl's own page size. */
export const LIST_PAGE_SIZE = 500;
/** A 429 or 503 that says Retry-After is repeated this often before it becomes the caller's error. */
export const MAX_RETRY_AFTER_ATTEMPTS = 5;
/** The longest Retry-After that is obeyed; a longer one is the caller's error at once. */
export const MAX_RETRY_AFTER_MS = 30_000;

/** A watch is asked to end after a random time in this range, so that servers can be drained. */
export const WATCH_MIN_SECONDS = 300;
export const WATCH_MAX_SECONDS = 600;
/** A watch that outlives what the server promised is dead: it is cut this long after. */
export const WATCH_GRACE_MS = 30_000;
/** A watch-list that sends nothing for this long and no closing bookmark is not supported by the server. */
export const WATCH_LIST_IDLE_MS = 15_000;
/** A watch that ended without an event before this is a failure (backoff), not a rotation. */
export const WATCH_TOO_SHORT_MS = 1_000;
export const INFORMER_BACKOFF_MIN_MS = 200;
export const INFORMER_BACKOFF_MAX_MS = 30_000;

/** Silence before the first list after which what was known at the last run is taken; a failure does so at once. */
export const RECALL_AFTER_MS = 5_000;

/** Reconcile retries. */
export const RECONCILE_BACKOFF_MIN_MS = 20;
export const RECONCILE_BACKOFF_MAX_MS = 60_000;

/** Connect and response-header time of a request to a remote API server. */
export const CONNECT_TIMEOUT_MS = 10_000;
export const HEADERS_TIMEOUT_MS = 60_000;
/** Silence inside a reply's body; watches have their own guard. */
export const BODY_TIMEOUT_MS = 60_000;
/** Tokens in files (projected service account tokens) are read again after this. */
export const TOKEN_FILE_REFRESH_MS = 60_000;
/** An exec plugin must answer within this. */
export const EXEC_PLUGIN_TIMEOUT_MS = 60_000;
/** Credentials of an exec plugin are renewed this long before they expire. */
export const EXEC_CREDENTIAL_MARGIN_MS = 60_000;

/** A manifest file, and how often YAML anchors may be expanded in one document (billion laughs). */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;
export const MAX_YAML_ALIASES = 100;
/** Objects of a manifest that are applied at once: the server writes what comes together in one go. */
export const MAX_APPLIES_AT_ONCE = 16;
/** Changes in a followed folder are read this long after the last one. */
export const MANIFEST_DEBOUNCE_MS = 100;
/** Followed paths are looked at again this often even without a change notice (network file systems). */
export const MANIFEST_RESCAN_MS = 30_000;

/** Events with the same key within this time are counted on one Event object. */
export const EVENT_AGGREGATION_MS = 10 * 60_000;
/** Keys the recorder remembers, and events waiting to be written; more are counted and dropped. */
export const MAX_EVENT_KEYS = 4_096;
export const MAX_QUEUED_EVENTS = 1_000;
