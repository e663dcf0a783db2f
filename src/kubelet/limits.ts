/** Every bound of the kubelet. What happens at each is said beside it and in docs/kubelet.md. */

/** A container's log file is rotated at this size (kubelet containerLogMaxSize). */
export const LOG_FILE_MAX_BYTES = 10 * 1024 * 1024;
/** Files kept for one run of a container, the current one included (kubelet containerLogMaxFiles). */
export const LOG_FILES_MAX = 5;
/** Longer lines are cut into parts with the CRI tag P (containerd max_container_log_line_size). */
export const LOG_LINE_MAX_BYTES = 16 * 1024;
/** Written log bytes a second and container; above it the container waits in its own write(2). */
export const LOG_RATE_BYTES_PER_SECOND = 4 * 1024 * 1024;
/** How far a container may run ahead of that rate. */
export const LOG_BURST_BYTES = 8 * 1024 * 1024;
/** After the end of a container its pipes are read for this long at most. */
export const LOG_DRAIN_MAX_MS = 2_000;
/** Read at once when a log is sent to a client. */
export const LOG_READ_CHUNK_BYTES = 64 * 1024;

/** Input of attached clients that the container has not read; above it no more is taken. */
export const INPUT_BACKLOG_MAX_BYTES = 4 * 1024 * 1024;
/** Output that an attached client has not read; above it the client is detached. */
export const ATTACH_BACKLOG_MAX_BYTES = 16 * 1024 * 1024;

/** Restart back-off: 10 s doubling to 5 min, forgotten after 10 min of running (kubelet MaxContainerBackOff). */
export const RESTART_BACKOFF_MIN_MS = 10_000;
export const RESTART_BACKOFF_MAX_MS = 300_000;
export const RESTART_BACKOFF_RESET_MS = 600_000;

/** A container that cannot be created (missing ConfigMap, unknown image) is tried again this often. */
export const CREATE_RETRY_MS = 10_000;
/** Volumes that cannot be made are tried again after 0.5 s doubling to 2 min; a change of a source tries at once. */
export const VOLUME_RETRY_MIN_MS = 500;
export const VOLUME_RETRY_MAX_MS = 120_000;

/** The kubelet never gives less than this between SIGTERM and SIGKILL (kubelet minimumGracePeriodInSeconds). */
export const GRACE_MIN_MS = 2_000;
/** Rounds of SIGKILL over what still belongs to a container before it is given up and reported. */
export const KILL_ROUNDS_MAX = 200;
export const KILL_ROUND_MS = 25;
/** Once all else is killed the supervisor has this long to write down the end and go. */
export const SUPERVISOR_GRACE_MS = 1_000;
/** A list of the host's processes is shared by all who ask within this time. */
export const PROCESS_TABLE_FRESH_MS = 40;
/** An adopted process whose end no file announced is looked at this often. */
export const ADOPTED_POLL_MS = 5_000;

/** Kept of a termination message (kubelet MaxContainerTerminationMessageLength) and of the log in its place. */
export const TERMINATION_MESSAGE_MAX_BYTES = 4096;
export const TERMINATION_LOG_TAIL_BYTES = 2048;
export const TERMINATION_LOG_TAIL_LINES = 80;

/** Output of an exec probe that is kept; the rest is read and dropped (kubelet maxRespBodyLength). */
export const PROBE_OUTPUT_MAX_BYTES = 10 * 1024;
/** First readiness and startup probes come in quick succession, doubling from here, and only successes count. */
export const PROBE_EAGER_FIRST_MS = 50;
export const PROBE_EAGER_MAX_MS = 1_000;
/** Probes and hooks under way at once over all pods; more wait their turn. */
export const PROBES_IN_FLIGHT_MAX = 64;

/** Status changes of one pod within this time become one write. */
export const STATUS_COALESCE_MS = 20;
/** A status that could not be written is tried again after 0.2 s doubling to 30 s. */
export const STATUS_RETRY_MIN_MS = 200;
export const STATUS_RETRY_MAX_MS = 30_000;

/** Node heartbeat (nodeStatusUpdateFrequency) and lease (nodeLeaseDurationSeconds / 4). */
export const NODE_STATUS_INTERVAL_MS = 300_000;
export const NODE_LEASE_DURATION_SECONDS = 40;
export const NODE_LEASE_RENEW_MS = 10_000;
/** Pods a node says it takes. */
export const NODE_PODS_MAX = 500;
/** Free disk or memory below these shares sets the pressure conditions (kubelet evictionHard). */
export const DISK_PRESSURE_FREE_SHARE = 0.05;
export const MEMORY_PRESSURE_FREE_BYTES = 100 * 1024 * 1024;

/** Static pod files larger than this are refused. */
export const STATIC_POD_FILE_MAX_BYTES = 1024 * 1024;
/** The folder is read again at least this often (kubelet fileCheckFrequency). */
export const STATIC_POD_SCAN_MS = 20_000;

/** Tokens in volumes are looked at this often and renewed after 80 % of their life. */
export const VOLUME_REFRESH_MS = 60_000;
/** A question about a ConfigMap, Secret or the services gives up after this long; the pod asks again. */
export const SOURCE_WAIT_MS = 10_000;
/** A followed object is let go this long after the last pod that refers to it. */
export const SOURCE_IDLE_MS = 60_000;

/** Connections of API servers at once; more are refused. */
export const KUBELET_CONNECTIONS_MAX = 1_024;
/** Two readings of what is used lie at least this far apart; CPU use is of the time between them. */
export const USAGE_APART_MS = 10_000;
