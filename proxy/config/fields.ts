import {
  address,
  anything,
  bindAddress,
  cidr,
  cidrOrPrimary,
  durationMs,
  flag,
  gates,
  integer,
  list,
  number,
  oneOf,
  text,
  type ValueParser,
} from './values.ts';

export const API_VERSION = 'kubeproxy.config.k8s.io/v1alpha1';
export const KIND = 'KubeProxyConfiguration';

/** One setting: where KubeProxyConfiguration has it, which flag sets it, how it is read. */
interface Field<T> {
  readonly parse: ValueParser<T>;
  readonly fallback: T;
  readonly flag?: string;
  /** Why weft accepts it and does nothing with it. */
  readonly ignored?: string;
}

function field<T>(
  parse: ValueParser<T>,
  fallback: NoInfer<T>,
  more: { flag?: string; ignored?: string } = {},
): Field<T> {
  return { parse, fallback, ...more };
}

export const IPVS_SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'sh',
  'dh',
  'sed',
  'nq',
  'mh',
  'fo',
  'ovf',
] as const;

const WINDOWS = 'weft runs on Linux';
const DEBUG_ONLY = 'use node --inspect instead of Go profiles';
const COUNT_MAX = 2 ** 31 - 1;

/** kube-proxy's settings (v1alpha1) with its defaults, by dotted path. `userspace` is weft's own mode. */
export const FIELDS = {
  mode: field(oneOf('', 'iptables', 'ipvs', 'nftables', 'userspace'), '', { flag: 'proxy-mode' }),
  hostnameOverride: field(text, '', { flag: 'hostname-override' }),
  bindAddress: field(address, '0.0.0.0', { flag: 'bind-address' }),
  bindAddressHardFail: field(flag, false, { flag: 'bind-address-hard-fail' }),
  healthzBindAddress: field(
    bindAddress(10_256),
    { address: '0.0.0.0', port: 10_256 },
    { flag: 'healthz-bind-address' },
  ),
  metricsBindAddress: field(
    bindAddress(10_249),
    { address: '127.0.0.1', port: 10_249 },
    { flag: 'metrics-bind-address' },
  ),
  enableProfiling: field(flag, false, { flag: 'profiling', ignored: DEBUG_ONLY }),
  showHiddenMetricsForVersion: field(text, '', {
    flag: 'show-hidden-metrics-for-version',
    ignored: 'weft hides no metrics',
  }),
  featureGates: field(gates, {}, { flag: 'feature-gates' }),
  'clientConnection.kubeconfig': field(text, '', { flag: 'kubeconfig' }),
  'clientConnection.acceptContentTypes': field(text, '', { ignored: 'weft speaks JSON' }),
  'clientConnection.contentType': field(text, '', {
    flag: 'kube-api-content-type',
    ignored: 'weft speaks JSON',
  }),
  'clientConnection.qps': field(number(-1, COUNT_MAX), 5, {
    flag: 'kube-api-qps',
    ignored: 'weft only watches',
  }),
  'clientConnection.burst': field(integer(0, COUNT_MAX), 10, {
    flag: 'kube-api-burst',
    ignored: 'weft only watches',
  }),
  'logging.format': field(oneOf('', 'text', 'json'), '', {
    flag: 'logging-format',
    ignored: 'use --log-format or WEFT_LOG_FORMAT',
  }),
  'logging.verbosity': field(integer(0, 100), 0, {
    flag: 'v',
    ignored: 'use --log-level or WEFT_LOG_LEVEL',
  }),
  'logging.flushFrequency': field(anything, undefined, {
    flag: 'log-flush-frequency',
    ignored: 'weft writes each line at once',
  }),
  'logging.vmodule': field(anything, undefined, { flag: 'vmodule', ignored: 'use --log-level' }),
  'logging.options': field(anything, undefined, { ignored: 'weft writes each line at once' }),
  'iptables.masqueradeBit': field(integer(0, 31), 14, { flag: 'iptables-masquerade-bit' }),
  'iptables.masqueradeAll': field(flag, false, { flag: 'masquerade-all' }),
  'iptables.localhostNodePorts': field(flag, true, { flag: 'iptables-localhost-nodeports' }),
  'iptables.syncPeriod': field(durationMs, 30_000, { flag: 'iptables-sync-period' }),
  'iptables.minSyncPeriod': field(durationMs, 1_000, { flag: 'iptables-min-sync-period' }),
  'ipvs.syncPeriod': field(durationMs, 30_000, { flag: 'ipvs-sync-period' }),
  'ipvs.minSyncPeriod': field(durationMs, 1_000, { flag: 'ipvs-min-sync-period' }),
  'ipvs.scheduler': field(oneOf('', ...IPVS_SCHEDULERS), '', { flag: 'ipvs-scheduler' }),
  'ipvs.excludeCIDRs': field(list(cidr), [], { flag: 'ipvs-exclude-cidrs' }),
  'ipvs.strictARP': field(flag, false, { flag: 'ipvs-strict-arp' }),
  'ipvs.tcpTimeout': field(durationMs, 0, { flag: 'ipvs-tcp-timeout' }),
  'ipvs.tcpFinTimeout': field(durationMs, 0, { flag: 'ipvs-tcpfin-timeout' }),
  'ipvs.udpTimeout': field(durationMs, 0, { flag: 'ipvs-udp-timeout' }),
  'nftables.masqueradeBit': field(integer(0, 31), 14),
  'nftables.masqueradeAll': field(flag, false),
  'nftables.syncPeriod': field(durationMs, 30_000),
  'nftables.minSyncPeriod': field(durationMs, 1_000),
  'winkernel.networkName': field(text, '', { ignored: WINDOWS }),
  'winkernel.sourceVip': field(text, '', { ignored: WINDOWS }),
  'winkernel.enableDSR': field(flag, false, { ignored: WINDOWS }),
  'winkernel.rootHnsEndpointName': field(text, '', { ignored: WINDOWS }),
  'winkernel.forwardHealthCheckVip': field(flag, false, { ignored: WINDOWS }),
  windowsRunAsService: field(flag, false, { ignored: WINDOWS }),
  detectLocalMode: field(oneOf('', 'ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'), '', {
    flag: 'detect-local-mode',
  }),
  'detectLocal.bridgeInterface': field(text, '', { flag: 'pod-bridge-interface' }),
  'detectLocal.interfaceNamePrefix': field(text, '', { flag: 'pod-interface-name-prefix' }),
  clusterCIDR: field(list(cidr), [], { flag: 'cluster-cidr' }),
  nodePortAddresses: field(list(cidrOrPrimary), [], { flag: 'nodeport-addresses' }),
  oomScoreAdj: field(integer(-1000, 1000), -999, { flag: 'oom-score-adj' }),
  'conntrack.maxPerCore': field(integer(0, COUNT_MAX), 32_768, { flag: 'conntrack-max-per-core' }),
  'conntrack.min': field(integer(0, COUNT_MAX), 131_072, { flag: 'conntrack-min' }),
  'conntrack.tcpEstablishedTimeout': field(durationMs, 86_400_000, {
    flag: 'conntrack-tcp-timeout-established',
  }),
  'conntrack.tcpCloseWaitTimeout': field(durationMs, 3_600_000, {
    flag: 'conntrack-tcp-timeout-close-wait',
  }),
  'conntrack.tcpBeLiberal': field(flag, false, { flag: 'conntrack-tcp-be-liberal' }),
  'conntrack.udpTimeout': field(durationMs, 0, { flag: 'conntrack-udp-timeout' }),
  'conntrack.udpStreamTimeout': field(durationMs, 0, { flag: 'conntrack-udp-timeout-stream' }),
  configSyncPeriod: field(durationMs, 900_000, {
    flag: 'config-sync-period',
    ignored: 'weft follows watches and never relists on a timer',
  }),
  portRange: field(text, '', { ignored: 'weft listens on the services own addresses' }),
} as const;

export type FieldPath = keyof typeof FIELDS;
export type FieldValues = {
  readonly [P in FieldPath]: (typeof FIELDS)[P] extends Field<infer T> ? T : never;
};

/** Field paths by the name of their flag. */
export const FIELD_OF_FLAG: ReadonlyMap<string, FieldPath> = new Map(
  Object.entries(FIELDS).flatMap(([path, { flag: name }]: [string, { flag?: string }]) =>
    name === undefined ? [] : [[name, path as FieldPath] as const],
  ),
);
