/** Limits of the proxy room. What happens at each is said here and tested. */

/** Deadlines of successive dials, each on the next endpoint (kube-proxy's userspace ladder). */
export const DIAL_DEADLINES_MS = [250, 500, 1_000, 2_000] as const;

/** Dials for one client connection; refused ones are quick, so churn gets more tries than the ladder has rungs. */
export const DIALS_MAX = 16;

/** Pause before the same endpoint is dialled again when there is no other. */
export const REDIAL_PAUSE_MS = 50;

/** An established connection without a byte in either direction is closed after this long (conntrack: 24 h). */
export const TCP_IDLE_SECONDS = 86_400;

/** The same when one side has finished sending (conntrack CLOSE_WAIT: 1 h). */
export const TCP_HALF_CLOSED_IDLE_SECONDS = 3_600;

/** Bytes that may wait for a slow reader before the other side is paused. */
export const TCP_BUFFER_BYTES = 65_536;

/** Native engine: bytes that one read takes. */
export const RELAY_READ_BYTES = 131_072;

/** Native engine: bytes that a pipe between two connections is asked to hold (`splice`); the kernel may grant less. */
export const RELAY_PIPE_BYTES = 262_144;

/** Native engine: idle pipes kept for the next connection that moves much; more are closed. */
export const RELAY_PIPES_IDLE_MAX = 32;

/** Native engine: reads of one connection in a row before the others have their turn. */
export const RELAY_READS_A_TURN = 16;

/** Native engine: dial deadlines are kept to this. */
export const RELAY_TIMER_TICK_MS = 10;
export const RELAY_TIMER_SLOTS = 256;

/** Native engine: from 30,000 events a second on, while they come by fewer than 32, they gather for 100 us. */
export const RELAY_GATHERING = { busyPerMs: 30, largeBatch: 32, pauseMicroseconds: 100 } as const;

/** Native engine: descriptors above this number, which the whole process shares, are not taken: their clients wait. */
export const RELAY_DESCRIPTORS_MAX = 262_144;

/** Client connections at one time, all services together; one more is reset and counted. */
export const TCP_SESSIONS_MAX = 20_000;

/** UDP flows (client and service) at one time; one more evicts the flow that was idle longest. */
export const UDP_SESSIONS_MAX = 8_192;

/** A UDP flow without a datagram is forgotten after this long (conntrack: 30 s unanswered, 120 s streams). */
export const UDP_IDLE_SECONDS = 60;

/** Portable engine: datagrams of a flow that wait until its socket is connected; more are dropped. */
export const UDP_EARLY_MAX = 64;

/** Native engine: datagrams that one call receives or sends at most. */
export const UDP_BATCH = 32;

/** Room for a datagram: more than UDP can carry. */
export const UDP_DATAGRAM_BYTES = 65_536;

/** Native engine: datagrams that the kernel is asked to hold for a service port; it may grant less (net.core.rmem_max). */
export const UDP_SOCKET_BYTES = 1_048_576;

/** Clients that one service port remembers for session affinity; one more forgets the one idle longest. */
export const AFFINITY_CLIENTS_MAX = 65_536;

/** An endpoint that refused a dial is left out for this long, doubling up to the maximum. */
export const EJECTION_MIN_MS = 1_000;
export const EJECTION_MAX_MS = 30_000;

/** How often idle connections and flows are looked for. */
export const SWEEP_INTERVAL_MS = 1_000;

/** How long open connections may finish when the proxy stops. */
export const DRAIN_DEADLINE_MS = 5_000;

/** Connections that may wait for accept on one address. */
export const LISTEN_BACKLOG = 1_024;

/** Service ports whose counters are published one by one; those beyond are published together as `other`. */
export const METRIC_PORTS_MAX = 1_000;

/** With more service ports kernel modes do not count: nftables keeps 16 bytes an element and CPU, iptables lists all. */
export const COUNTED_PORTS_MAX = 10_000;

/** Programs that list a kernel's counters run at most this share of the time; scrapes between see the last figures. */
export const COUNTING_TIME_SHARE = 0.02;

/** Service ports of the first slice of a first sync into an empty kernel; each further slice is twice as long. */
export const FIRST_SLICE_PORTS = 512;

/** While changes keep coming, a kernel mode looks this often whether its rules are still there. */
export const INTACT_CHECK_INTERVAL_MS = 10_000;

/** A change of more elements goes through nft: one netlink request must fit the socket's buffer whole. */
export const NETLINK_ELEMENTS_MAX = 16_384;

/** In large clusters iptables chains that are not needed any more are removed at most this often. */
export const STALE_CHAINS_INTERVAL_MS = 30_000;

/** Real servers that drain are looked at this often; kube-proxy's interval. */
export const DRAIN_CHECK_INTERVAL_MS = 60_000;

/** Endpoints are probed this long after the round before has ended. */
export const PROBE_INTERVAL_MS = 2_000;

/** How long an endpoint may take to accept a probe. */
export const PROBE_TIMEOUT_MS = 1_000;

/** Failed probes in a row after which an endpoint is left out: one lost packet is no death. */
export const PROBE_FAILURES_MAX = 2;

/** Probes under way at one time. */
export const PROBES_IN_FLIGHT_MAX = 64;

/** Endpoints probed by one node; those beyond are believed, and a line in the log says so. */
export const PROBE_TARGETS_MAX = 5_000;

/** `recent` lists of at least this many clients are as good as sets; shorter ones forget. */
export const RECENT_CLIENTS_ENOUGH = 10_000;
