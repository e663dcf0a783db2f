/** One WebSocket message of exec, attach or port-forward. */
export const STREAM_MESSAGE_MAX_BYTES = 4 * 1024 * 1024;
/** Unsent bytes of a stream above which its source is paused. */
export const STREAM_BUFFER_MAX_BYTES = 1024 * 1024;
/** How long a kubelet may take to accept a connection and to begin its reply. */
export const KUBELET_REPLY_DEADLINE_MS = 10_000;
/** The text of a refusal that is read from a kubelet. */
export const REFUSAL_MAX_BYTES = 4 * 1024;
/** Each output of a command run by /run that is kept; the rest is read and dropped. */
export const RUN_OUTPUT_MAX_BYTES = 1024 * 1024;
/** A page of a kubelet that is read by the API server itself. */
export const KUBELET_PAGE_MAX_BYTES = 16 * 1024 * 1024;
/** How long such a page may take as a whole. */
export const KUBELET_PAGE_DEADLINE_MS = 10_000;
