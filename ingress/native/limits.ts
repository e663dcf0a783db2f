/** Limits of the native engine, with their units. What happens at each is said beside it and tested. */

/** One read from a connection. */
export const RECEIVE_BYTES = 256 * 1024;
/** Room before what was read: for a head that grows when it is written anew. */
export const HEADROOM_BYTES = 16 * 1024;
/** A request head the fast path takes. Over: handed over, the portable engine has the larger limits. */
export const FAST_HEAD_BYTES_MAX = 8 * 1024;
/** Fields of a head the fast path takes. Over: handed over (requests), read by the portable scanner (responses). */
export const FAST_FIELDS_MAX = 96;
/** Bytes kept of a request so that it can be sent again or handed over. Over: a failure is answered here. */
export const KEPT_BYTES_MAX = 64 * 1024;
/** Places for requests under way of one worker, and the length of each. Over: kept in memory of their own. */
export const KEPT_SLOTS = 1024;
export const KEPT_SLOT_BYTES = 1024;
/** Lines that tell a backend of a client's certificate. Over: handed over. A head with them must fit HEADROOM_BYTES more. */
export const CERTIFICATE_FIELDS_BYTES_MAX = 4 * 1024;
/** Reads of one connection in a row before the others have their turn. */
export const READS_A_TURN = 8;
/** Host and path pairs whose route is remembered; a further one takes the place of another. Power of two. */
export const ROUTE_MEMORY_ENTRIES = 4096;
/** Length of a host and path that is remembered. Over: looked up each time. */
export const ROUTE_MEMORY_BYTES = 256;
/** Clients accepted that wait in the kernel. */
export const LISTEN_BACKLOG = 4096;
/** Descriptors of one worker. Over: EMFILE, clients wait in the kernel. */
export const DESCRIPTORS_MAX = 65_536;
/** Label sets in one block of shared memory. */
export const TALLIES_A_SLAB = 128;
/** The timers of a worker: resolution, and slots of its wheel. */
export const TIMER_TICK_MS = 50;
export const TIMER_SLOTS = 1024;
/** Relays kept for clients to come. */
export const SPARE_RELAYS_MAX = 256;
/** Addresses of clients whose fields are remembered. Over: all are forgotten. */
export const CLIENTS_REMEMBERED_MAX = 1024;
/** Bytes looked at in all of a ClientHello that comes in pieces, each look from its beginning. Over: refused. */
export const HELLO_LOOKED_BYTES_MAX = 4 * 1024 * 1024;
/** An OCSP answer is asked of the main thread this often at most, by clients that want it. */
export const STAPLE_ASK_MS = 1_000;
/** Server names a worker remembers the TLS of. Over: all are forgotten, and asked for again. */
export const TLS_NAMES_REMEMBERED_MAX = 4096;
