/** Limits of the controllers. */

/** Keys of one controller in work at a time. */
export const WORKERS = 5;
/** Pods created or deleted for one owner in one reconcile; the next reconcile goes on. */
export const MAX_PODS_PER_RECONCILE = 500;
/** The first batch of creations; each batch that succeeds doubles (slow start). */
export const SLOW_START_FIRST_BATCH = 1;
/** How long a controller waits to see its own writes come back before it acts on what it has. */
export const WRITE_VISIBLE_MS = 5 * 60_000;
/** Looks again after this while own writes are not visible yet (normally the write's event comes first). */
export const WRITE_RECHECK_MS = 1_000;
/** Addresses of one Endpoints object (facts: Kubernetes API, Endpoints controller). */
export const MAX_ENDPOINTS_ADDRESSES = 1_000;
/** Addresses mirrored from one subset of a user's Endpoints. */
export const MAX_MIRRORED_ADDRESSES = 1_000;

/** A node whose lease was not renewed for this long is Unknown. */
export const NODE_GRACE_MS = 50_000;
/** How often nodes are looked at. */
export const NODE_MONITOR_MS = 5_000;
/** Pods evicted from unreachable nodes a second, over all nodes. */
export const NODE_EVICTION_PER_SECOND = 0.1;

/** Orphaned owners are looked up live; the answer "gone" is kept for this many uids. */
export const MAX_ABSENT_OWNERS = 500;
/** Custom kinds are discovered again this often for garbage collection. */
export const DISCOVERY_INTERVAL_MS = 30_000;
/** A namespace with content left is looked at again after this. */
export const NAMESPACE_RECHECK_MS = 1_000;

/** Finished pods kept in the cluster; the oldest beyond are deleted. */
export const MAX_FINISHED_PODS = 12_500;
/** How often finished and orphaned pods are looked for. */
export const POD_GC_INTERVAL_MS = 20_000;
/** A node must have been absent this long before its pods are removed. */
export const NODE_ABSENT_MS = 40_000;

/** A daemon that failed on a node is made again after this; each further failure doubles the wait. */
export const DAEMON_BACKOFF_MIN_MS = 1_000;
export const DAEMON_BACKOFF_MAX_MS = 15 * 60_000;

/** A Job's failed pod is followed by another after this; each further failure doubles the wait. */
export const JOB_BACKOFF_MIN_MS = 10_000;
export const JOB_BACKOFF_MAX_MS = 10 * 60_000;
/** Ends of pods noted in a Job's status at a time; the rest follows in the next round. */
export const MAX_UNCOUNTED_PODS = 500;

/** Missed times of one CronJob that are walked through one by one; beyond, its newest due time is looked for. */
export const MAX_SCHEDULE_STEPS = 100;
/** A CronJob is looked at this long after its time, so that the clock has surely passed it. */
export const SCHEDULE_SLACK_MS = 100;

/** A granted eviction that was not carried out counts against the budget no longer than this. */
export const DISRUPTION_GRANT_MS = 2 * 60_000;

/** How often a HorizontalPodAutoscaler looks at its metrics. */
export const AUTOSCALE_INTERVAL_MS = 15_000;

/** A signing request goes this long after it was signed, denied or failed, or after nobody answered it. */
export const ANSWERED_REQUEST_MS = 60 * 60_000;
export const PENDING_REQUEST_MS = 24 * 60 * 60_000;
