/** Limits of address announcement. */

/** After taking an address over it is told this often, this far apart: a frame may get lost (RFC 5227 section 3). */
export const ANNOUNCE_REPEATS = 5;
export const ANNOUNCE_INTERVAL_MS = 1_100;

/** The pause before a BGP peer that could not be reached is called again doubles up to the maximum. */
export const BGP_RETRY_MIN_MS = 1_000;
export const BGP_RETRY_MAX_MS = 30_000;

/** How long the TCP connection to a BGP peer may take. */
export const BGP_CONNECT_DEADLINE_MS = 5_000;

/** Silence before OPEN is answered that ends the session (RFC 4271 section 8.2.2: a large hold time). */
export const BGP_OPEN_HOLD_SECONDS = 240;

/** Silence that ends an established session, as proposed to the peer (RFC 4271 section 10). */
export const BGP_HOLD_SECONDS = 90;

/** How long peers keep our routes while the daemon restarts (RFC 4724). */
export const BGP_RESTART_SECONDS = 120;

/** RFC 4271 section 4.1. */
export const BGP_MESSAGE_BYTES_MAX = 4_096;
