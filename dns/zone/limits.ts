/** Limits of zones; docs/dns-plugins.md says what happens at each. */

/** A zone with more records is refused as a whole. */
export const ZONE_RECORDS = 5_000_000;
/** Master files that include one another may nest this deep. */
export const INCLUDE_DEPTH = 8;
/** Records that one `$GENERATE` may make. */
export const GENERATE_RECORDS = 65_536;
/** Aliases followed for one answer. */
export const ALIAS_CHAIN = 10;
/** A transfer that brings nothing for so long is given up. */
export const TRANSFER_STALL_MS = 30_000;
/** Bytes of one transfer; more is refused. */
export const TRANSFER_BYTES = 1024 * 1024 * 1024;
