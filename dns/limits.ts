/** Limits of the DNS room. docs/dns.md says what happens at each; tests reach each. */

/** What we tell clients we take over UDP, and the most we send unless `bufsize` or --strict say otherwise (RFC 9715). */
export const UDP_PAYLOAD_BYTES = 1232;
/** Without EDNS (RFC 1035 4.2.1). */
export const UDP_PLAIN_BYTES = 512;
/** A TCP or TLS connection that asks nothing for so long is closed. */
export const STREAM_IDLE_MS = 10_000;
/** A question that has begun to arrive must be whole within this. */
export const STREAM_READ_MS = 10_000;
/** A client that does not take its answers for so long is cut off. */
export const STREAM_WRITE_STALL_MS = 10_000;
/** Questions of one connection under way; reading pauses beyond. */
export const STREAM_QUERIES_IN_FLIGHT = 128;
/** Unsent answer bytes of one connection; reading pauses beyond. */
export const STREAM_UNSENT_BYTES = 256 * 1024;
/** Connections that may wait to be accepted. */
export const STREAM_BACKLOG = 1024;
/** Connections of one listener; the one idle for longest makes room for the next. */
export const STREAM_CONNECTIONS = 20_000;
/** Descriptors of a native thread: three for a connection over TLS that the chain goes on with. Over: clients wait in the kernel. */
export const STREAM_DESCRIPTORS = 4 * STREAM_CONNECTIONS;
/** A TLS handshake must be done within this. */
export const TLS_HANDSHAKE_MS = 10_000;
/** What a native thread takes from a connection by one call. */
export const STREAM_INPUT_BYTES = 16 * 1024;
/** A question over a connection that is longer than this is the slow path's. */
export const STREAM_QUESTION_BYTES = 4096;
/** Questions under way on the slow path of one server; more are answered SERVFAIL at once. */
export const QUERIES_IN_FLIGHT = 20_000;
/** How long questions under way may take to end when the server stops. */
export const DRAIN_MS = 5000;
/** Internal look-ups (ExternalName targets, autopath) may nest this deep. */
export const RESOLVE_DEPTH = 8;

/** Asked of the kernel for each direction of a UDP socket: rides out pauses. It may grant less. */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;
/** The most that fits a UDP datagram. */
export const UDP_MESSAGE_BYTES = 65_535;

/** Datagrams a native receiver takes from the kernel in one call. */
export const NATIVE_BATCH = 64;
/** When a native receiver lets questions gather: from 50,000 a second on, while they come by batches of fewer than 32. */
export const NATIVE_GATHERING = { busyPerMs: 50, largeBatch: 32, pauseMicroseconds: 100 } as const;
/** Of a question; what is longer reaches the chain cut and is a FORMERR there. Real ones stay below 512. */
export const NATIVE_RECEIVE_BYTES = 4096;
/** Questions that wait for the chain, a receiver; beyond that the oldest is shed. A power of two. */
export const NATIVE_RING_SLOTS = 512;
/** Questions the chain takes from a ring before others have their turn. */
export const NATIVE_RING_DRAIN = 64;
/** A native thread makes nothing in steady state: V8's usual 32 MiB of young objects would only be memory held. */
export const NATIVE_THREAD_HEAP = { maxYoungGenerationSizeMb: 2 } as const;
/** Answers of the table that wait for those who watch (`log`), a receiver or thread; beyond that they are not told of. A power of two. */
export const WATCH_RING_SLOTS = 4096;
/** Answers told of before others have their turn. */
export const WATCH_DRAIN = 256;
/** How long answers are gathered: the thread of the chain is woken for many at once. */
export const WATCH_GATHER_MS = 10;
