/** Every limit of the ingress room, with its unit. What happens at each is said beside it and tested. */

/** One line of a request head (nginx large_client_header_buffers 4 8k). Over: 431, for the request line 414. */
export const HEAD_LINE_BYTES_MAX = 8 * 1024;
/** A whole request head. Over: 431, connection closed. */
export const REQUEST_HEAD_BYTES_MAX = 32 * 1024;
/** Header fields in one request. Over: 431, connection closed. */
export const REQUEST_FIELDS_MAX = 512;
/** A whole response head of an upstream. Over: 502, that connection closed. */
export const RESPONSE_HEAD_BYTES_MAX = 128 * 1024;
/** Header fields in one upstream response. Over: 502. */
export const RESPONSE_FIELDS_MAX = 2048;
/** Informational responses before the final one. Over: 502 (an upstream that never answers). */
export const INTERIM_RESPONSES_MAX = 16;
/** Bytes of one chunk header with its extensions. Over: framing error. */
export const CHUNK_LINE_BYTES_MAX = 1024;
/** Bytes of all chunk extensions of one body. Over: framing error. */
export const CHUNK_EXTENSION_BYTES_MAX = 16 * 1024;
/** Bytes of a trailer section. Over: framing error. */
export const TRAILER_BYTES_MAX = 16 * 1024;
/** Bytes kept of pipelined requests while one is answered. Over: the socket is not read until there is room. */
export const PIPELINE_BYTES_MAX = 64 * 1024;
/** Rest of a request body that is read and thrown away to keep a connection usable. Over: closed. */
export const DISCARD_BODY_BYTES_MAX = 1024 * 1024;
/** How long a closing connection is read so that the client gets to see the answer. */
export const LINGER_MS = 2_000;
/** Request bytes kept so that an idempotent request can be sent again. Over: that request is not repeated. */
export const REPLAY_BODY_BYTES_MAX = 64 * 1024;
/** Idle time of a pooled upstream connection. Below the 5 s after which Node servers close. */
export const UPSTREAM_IDLE_MS = 4_000;
/** Idle upstream connections kept for all endpoints of one worker (nginx upstream-keepalive-connections). */
export const UPSTREAM_IDLE_CONNECTIONS_MAX = 320;
/** Requests on one upstream connection before it is replaced. */
export const UPSTREAM_REQUESTS_MAX = 10_000;
/** Idle time of a client connection between requests. */
export const CLIENT_IDLE_MS = 75_000;
/** Requests on one client connection; the last one is answered with Connection: close. */
export const CLIENT_REQUESTS_MAX = 1_000;
/** From the first to the last byte of a request head. Over: 408. */
export const CLIENT_HEADER_MS = 60_000;
/** Between two reads of a request body. Over: 408. */
export const CLIENT_BODY_IDLE_MS = 60_000;
/** From accept to the end of the TLS handshake (and of PROXY header and ClientHello). Over: closed. */
export const TLS_HANDSHAKE_MS = 15_000;
/** Bytes read while waiting for a whole ClientHello. Over: closed. */
export const CLIENT_HELLO_BYTES_MAX = 16 * 1024 + 5;
/** Time for streams to end at shutdown (nginx worker-shutdown-timeout). */
export const DRAIN_MS = 240_000;
/** Resolution of the timer wheel: no deadline is more exact than this. */
export const WHEEL_TICK_MS = 50;
/** Default largest request body (nginx proxy-body-size 1m). Over: 413. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Default timeouts of proxy-connect-/read-/send-timeout. */
export const CONNECT_MS = 5_000;
export const READ_IDLE_MS = 60_000;
export const SEND_IDLE_MS = 60_000;
/** Tries of one request, the first included (proxy-next-upstream-tries). */
export const TRIES_MAX = 3;
/** Retries allowed: this share of requests, plus a floor per second. Over: the failure is the answer. */
export const RETRY_BUDGET_SHARE = 0.2;
export const RETRY_BUDGET_FLOOR_PER_SECOND = 10;
/** Concurrent HTTP/2 streams of one client connection. */
export const H2_STREAMS_MAX = 128;
/** HTTP/2 header list of one request, bytes. */
export const H2_HEADER_LIST_BYTES_MAX = 32 * 1024;
/** Stream resets a client may burst, and then per second (CVE-2023-44487). Over: GOAWAY. */
export const H2_RESET_BURST = 200;
export const H2_RESETS_PER_SECOND = 33;
/** Idle time of an HTTP/2 connection without streams. */
export const H2_IDLE_MS = 180_000;
/** Length of one user-written regular expression. Over: refused. */
export const REGEX_LENGTH_MAX = 2048;
/** Client addresses a rate limit remembers per route. Over: the longest unused is forgotten. */
export const RATE_LIMIT_CLIENTS_MAX = 65_536;
/** Concurrent external authorization replies kept (auth-cache). */
export const AUTH_CACHE_ENTRIES_MAX = 10_000;
/** Copies of requests under way at once (mirror-target). Over: the copy is left out and counted. */
export const MIRRORS_MAX = 256;
/** Body bytes a mirror may lag behind. Over: that copy is cut off and counted. */
export const MIRROR_BODY_PENDING_BYTES_MAX = 1024 * 1024;
/** Time a mirror has to answer. */
export const MIRROR_TIMEOUT_MS = 10_000;
/** Between two looks for backends that nothing routes to any more. */
export const CLUSTER_SWEEP_MS = 60_000;
/** At drain: how long a connection between two requests may still send one. It is answered with Connection: close. */
export const DRAIN_IDLE_MS = 1_000;
/** Length of a PROXY protocol v1 line, CRLF included (specification section 2.1). */
export const PROXY_V1_BYTES_MAX = 107;
/** Length of a PROXY protocol v2 header with its TLVs. Over: closed. */
export const PROXY_V2_BYTES_MAX = 4096;
