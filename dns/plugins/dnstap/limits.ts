/** Messages that wait while the receiver is slow or away; times the QUEUE argument. More are dropped and counted. */
export const QUEUE_MESSAGES = 10_000;
/** Unsent octets in the socket before messages wait; times the WRITEBUFFER argument. */
export const WRITE_BUFFER_BYTES = 1024 * 1024;
/** Pause between two tries to reach the receiver. */
export const RECONNECT_MS = 1000;
/** The handshake must be done within this. */
export const HANDSHAKE_MS = 5000;
/** How often dropped messages are spoken of in the log. */
export const REPORT_DROPS_MS = 10_000;
/** A control frame of the receiver; a longer one ends the connection. */
export const CONTROL_FRAME_BYTES = 4096;
/** Receivers that may be connected to us at a time (`listen`). */
export const RECEIVERS = 64;
/** Unsent octets at which a receiver that connected to us is cut off. */
export const LISTEN_UNSENT_BYTES = 4 * 1024 * 1024;
