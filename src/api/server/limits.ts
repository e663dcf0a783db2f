/** Every bound of the API server, with its unit. docs/api-server.md says what a client sees at each. */

/** Request bodies above this get 413. */
export const BODY_MAX_BYTES = 3 * 1024 * 1024;
/** Operations in one JSON patch; one more gets 413. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000;
/** Replies above this are compressed when the client asks for gzip. */
export const GZIP_MIN_BYTES = 128 * 1024;
/** Watches without timeoutSeconds end after a random time between this and twice this. */
export const WATCH_TIMEOUT_MIN_MS = 1_800_000;
/** A bookmark goes to each watcher that allows them, this often. */
export const BOOKMARK_INTERVAL_MS = 60_000;
/** Events a resource keeps in memory for watches that start in the past; older ones come from the store. */
export const HISTORY_EVENTS_MAX = 1_024;
/** A watcher whose unsent bytes exceed this is closed; it lists again. */
export const WATCH_BUFFER_MAX_BYTES = 16 * 1024 * 1024;
/** Parsed objects kept beside their bytes, over all resources. */
export const PARSED_OBJECTS_MAX = 512;
/** A read of a revision the server has not reached waits this long, then gets 504. */
export const FUTURE_REVISION_WAIT_MS = 3_000;
/** Compare-and-swap attempts of one PATCH, delete or status write before 409. */
export const WRITE_ATTEMPTS_MAX = 8;
/** Names tried for metadata.generateName before 409. */
export const GENERATE_NAME_ATTEMPTS_MAX = 8;
/** History older than this is compacted away. */
export const COMPACTION_INTERVAL_MS = 300_000;
/** What a watch sends goes out in pieces of about this size; others have the event loop in between. */
export const WATCH_CHUNK_BYTES = 32 * 1024;
/** What watches begin with is serialized once for all of them up to this size; beyond, each makes its own pieces. */
export const SHARED_BEGINNING_MAX_BYTES = 4 * 1024 * 1024;
/** Watches of one user that send what is there at the same time; the next ones begin when these have sent it. */
export const WATCH_STARTS_PER_USER = 8;
/** A watch whose reader takes longer lets the next one begin. */
export const WATCH_START_SHARE_MS = 1_000;
/** List replies above this are sent in pieces of about this size. */
export const LIST_CHUNK_BYTES = 1024 * 1024;
/** Requests one user has in execution; the rest waits in the user's queue. */
export const REQUESTS_IN_FLIGHT_PER_USER = 64;
/** Requests in execution over all users. */
export const REQUESTS_IN_FLIGHT_MAX = 600;
/** Waiting requests of one user; one more gets 429 with Retry-After. */
export const REQUESTS_QUEUED_PER_USER = 1_024;
/** Entries with operation Update in metadata.managedFields; older ones are folded into `ancient-changes`. */
export const MANAGED_UPDATES_MAX = 10;
/** Characters of a fieldManager. */
export const FIELD_MANAGER_MAX_LENGTH = 128;
/** Levels of nesting a patch or managed field set may have. */
export const NESTING_MAX = 512;
/** Certificates live this long and are renewed when less than a third is left. */
export const CERTIFICATE_DAYS = 365;
export const CA_CERTIFICATE_DAYS = 3_650;
/** Milliseconds of the thread a user gets before the next user's turn, while others wait. */
export const FAIR_QUANTUM_MS = 1;
/** What a user took of the thread counts for this long, at most twice as long, when it is asked who comes first, and so do its requests when it is asked whether it is alone. */
export const RECENT_USE_MS = 250;
/** Work on requests ends after this long, so that the event loop reads what has arrived; then it goes on. */
export const TURN_BUDGET_MS = 2;
/** The same when requests of several users came of late: rounds of the loop cost a lone user an eighth of its creates. */
export const SHARED_TURN_BUDGET_MS = 1;
/** What a new connection will have cost when its TLS handshake is done: charged to its address when it is accepted. */
export const HANDSHAKE_COST_MS = 1;
/** Parts of requests that run in one turn of the event loop at most. */
export const SLICES_PER_TURN_MAX = 64;
/** The reply to a list above this keeps its place until it has left: unread replies are memory, too. */
export const PLACE_KEPT_ABOVE_BYTES = 64 * 1024;
/** At a stop, requests under way get this long. */
export const DRAIN_DEADLINE_MS = 5_000;
/** Addresses and node ports are compared with the Services this often. */
export const ALLOCATION_REPAIR_INTERVAL_MS = 180_000;
/** Addresses and ports tried for a Service while other servers on the store are faster, then 409. */
export const ALLOCATION_ATTEMPTS_MAX = 32;
/** A leaked address or port is freed when this many passes in a row saw nobody hold it. */
export const ALLOCATION_LEAK_PASSES = 3;
/** With several servers a deleted ServiceCIDR stays this long: another one may still give an address of it away. */
export const SERVICE_CIDR_GRACE_MS = 10_000;
/** Payload of one SPDY frame of a port-forward; a larger one ends the connection. */
export const SPDY_FRAME_MAX_BYTES = 1024 * 1024;
/** Decompressed header block of a SPDY stream. */
export const SPDY_HEADERS_MAX_BYTES = 64 * 1024;
/** Streams of one port-forward connection. */
export const SPDY_STREAMS_MAX = 1_024;
/** ServiceAccount tokens whose signature is remembered as good (about 1 KiB each). */
export const VERIFIED_TOKENS_MAX = 4_096;
/** Memory of long replies that is kept for the next ones. */
export const BODY_POOL_MAX_BYTES = 8 * 1024 * 1024;
/** Reply of an admission webhook. */
export const WEBHOOK_REPLY_MAX_BYTES = 3 * 1024 * 1024;
/** Open connections to one webhook. */
export const WEBHOOK_SOCKETS_MAX = 64;
/** Unwritten bytes of the audit log; beyond it events are dropped and counted. */
export const AUDIT_BUFFER_MAX_BYTES = 32 * 1024 * 1024;
/** An audit file above this is renamed and a new one begun. */
export const AUDIT_FILE_MAX_BYTES = 100 * 1024 * 1024;
/** Renamed audit files that stay. */
export const AUDIT_FILES_KEPT = 10;
/** Open watches of one user; one more gets 429. */
export const WATCHES_PER_USER_MAX = 4_096;
/** A request that is neither a watch nor a stream and takes longer gets 504. */
export const REQUEST_TIMEOUT_MS = 60_000;
/** The same for writes. */
export const WRITE_TIMEOUT_MS = 34_000;
/** Connecting to a pod, service or node for its proxy subresource. */
export const PROXY_CONNECT_TIMEOUT_MS = 30_000;
/** A node's use of CPU and memory is read this often: the window of metrics.k8s.io (metrics-server's resolution). */
export const USAGE_INTERVAL_MS = 15_000;
/** Kubelets that are asked at once. */
export const USAGE_READS_MAX = 16;
/** A server that shares its store says this often that it lives, and is forgotten after that long a silence. */
export const SERVER_RENEW_MS = 10_000;
export const SERVER_LEASE_SECONDS = 30;
/** A conversion webhook that has not answered by then has failed (upstream's bound). */
export const CONVERSION_TIMEOUT_SECONDS = 30;
/** Stored bytes of the objects that go to a conversion webhook in one request. */
export const CONVERSION_BATCH_MAX_BYTES = 1024 * 1024;
