import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FIELD_OF_FLAG, type FieldPath, FIELDS } from '../../proxy/config/fields.ts';
import { durationMs } from '../../proxy/config/values.ts';
import { configText } from '../../proxy/config/text.ts';
import { parseProxyConfig, type ProxyConfig } from '../../proxy/config/config.ts';

const HEAD = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

function good(file: string): ProxyConfig {
  const outcome = parseProxyConfig({ file: HEAD + file });
  if ('faults' in outcome) throw new Error(JSON.stringify(outcome.faults));
  return outcome.config;
}

describe('a file', () => {
  test('of a kubeadm cluster', () => {
    const config = good(`
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`);
    expect(config).toMatchObject({
      mode: 'iptables',
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
      healthz: { address: '0.0.0.0', port: 10_256 },
      metrics: { address: '127.0.0.1', port: 10_249 },
      detectLocal: { mode: 'ClusterCIDR', cidrs: ['10.244.0.0/16'] },
      localhostNodePorts: true,
      syncPeriodMs: 30_000,
      oomScoreAdj: -999,
      kernel: { masqueradeBit: 14, conntrack: { maxPerCore: 32_768, tcpEstablishedTimeoutMs: 86_400_000 } },
    });
  });

  const modes = [
    { file: 'detectLocalMode: NodeCIDR', detectLocal: { mode: 'NodeCIDR', cidrs: [] } },
    {
      file: 'detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: br0}',
      detectLocal: { mode: 'BridgeInterface', bridge: 'br0' },
    },
    {
      file: 'detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}',
      detectLocal: { mode: 'InterfaceNamePrefix', prefix: 'veth' },
    },
    { file: 'detectLocalMode: ClusterCIDR', detectLocal: { mode: 'None' } },
    {
      file: 'clusterCIDR: "10.0.0.0/8,fd00::/48"',
      detectLocal: { mode: 'ClusterCIDR', cidrs: ['10.0.0.0/8', 'fd00::/48'] },
    },
  ];
  test.each(modes)('$file', ({ file, detectLocal }) => {
    expect(good(file).detectLocal).toEqual(detectLocal);
  });

  test('each mode takes its own section, and gates open external IPs', () => {
    const file = 'nftables: {masqueradeAll: true, minSyncPeriod: 10ms, masqueradeBit: 3}\nmode: ';
    expect(good(`${file}nftables`)).toMatchObject({
      masqueradeAll: true,
      minSyncMs: 10,
      kernel: { masqueradeBit: 3 },
    });
    expect(good(`${file}iptables`)).toMatchObject({ masqueradeAll: false, minSyncMs: 1_000 });
    expect(good('featureGates: {AllowServiceExternalIPs: yes}').allowExternalIPs).toBe(true);
    expect(good('').allowExternalIPs).toBe(false);
  });

  test('all faults come together, each with its place', () => {
    const outcome = parseProxyConfig({
      file: `${HEAD}mode: bpf
iptables:
  masqueradeBit: 40
  syncPeriod: 10s
  minSyncPeriod: 1m
nodePortAddresses: [primary, 10.0.0.0/8]
healthzBindAddress: nowhere
detectLocalMode: BridgeInterface
clusterCIDR: 10.0.0.0
`,
    });
    const faults = 'faults' in outcome ? outcome.faults.map(({ at, message }) => `${at} ${message}`) : [];
    expect(faults).toEqual([
      expect.stringMatching(/^mode \(3:7\) must be /),
      expect.stringMatching(/^iptables.masqueradeBit \(5:18\) must be a whole number from 0 to 31, is 40/),
      expect.stringMatching(/^healthzBindAddress \(9:21\) must be IP:port/),
      expect.stringMatching(/^clusterCIDR \(11:14\) "10.0.0.0": must be a CIDR/),
      expect.stringMatching(/^iptables.minSyncPeriod must not exceed/),
      expect.stringMatching(/^detectLocal.bridgeInterface is required/),
      expect.stringMatching(/^nodePortAddresses primary must stand alone/),
    ]);
  });

  const broken = [
    { name: 'no YAML', file: 'a: [', at: /^\d+:\d+$/ },
    { name: 'a list', file: '- a', at: /^1:1$/ },
    { name: 'another kind', file: 'apiVersion: v1\nkind: ConfigMap', at: /^1:1$/ },
    { name: 'nothing', file: '', at: /^1:1$/ },
  ];
  test.each(broken)('$name is one fault with a place', ({ file, at }) => {
    const outcome = parseProxyConfig({ file });
    expect('faults' in outcome && outcome.faults[0]?.at).toMatch(at);
  });

  test('unknown fields and fields without effect are noted, not refused', () => {
    const outcome = parseProxyConfig({ file: `${HEAD}spare: 1\nwinkernel: {networkName: x}` });
    expect('config' in outcome).toBe(true);
    expect(outcome.notes.map(({ at }) => at)).toEqual(['spare (3:8)', 'winkernel.networkName (4:26)']);
  });
});

describe('flags', () => {
  test('speak for nftables too where it has none, and yield to a file', () => {
    const flags = new Map([
      ['mode', 'nftables'],
      ['iptables.masqueradeAll', 'true'],
      ['iptables.syncPeriod', '20s'],
      ['nodePortAddresses', '10.0.0.0/8,192.168.0.0/16'],
      ['hostnameOverride', 'alpha'],
    ] as const);
    const alone = parseProxyConfig({ flags });
    expect(alone).toMatchObject({
      config: {
        mode: 'nftables',
        masqueradeAll: true,
        syncPeriodMs: 20_000,
        nodePortAddresses: ['10.0.0.0/8', '192.168.0.0/16'],
      },
    });
    const beside = parseProxyConfig({ flags, file: `${HEAD}mode: ipvs` });
    expect(beside).toMatchObject({
      config: { mode: 'ipvs', hostnameOverride: 'alpha', masqueradeAll: false },
    });
    expect(beside.notes).toHaveLength(4);
  });

  test('are kube-proxy names, each for one field', () => {
    const named = Object.values(FIELDS).flatMap(({ flag }: { flag?: string }) => flag ?? []);
    expect(new Set(named).size).toBe(named.length);
    expect(FIELD_OF_FLAG.get('proxy-mode')).toBe('mode');
  });
});

test('separators may lead and trail, several documents are a fault', () => {
  const file = `---\n${HEAD}mode: nftables\n---\n`;
  expect(parseProxyConfig({ file })).toMatchObject({ config: { mode: 'nftables' } });
  expect(parseProxyConfig({ file: file + HEAD })).toHaveProperty('faults');
  expect(parseProxyConfig({ file: '' })).toHaveProperty('faults');
});

test('what is written as a file is read as the same settings', () => {
  const file = `${HEAD}mode: ipvs
clusterCIDR: 10.244.0.0/16,fd00::/56
healthzBindAddress: "[::1]:10256"
metricsBindAddress: ":10249"
nodePortAddresses: [10.0.0.0/8]
featureGates: {AllowServiceExternalIPs: true}
ipvs: {scheduler: wlc, strictARP: true, excludeCIDRs: [192.0.2.0/24], tcpTimeout: 1h30m}
conntrack: {maxPerCore: 0, udpTimeout: 1.5s}
logging: {options: {json: {infoBufferSize: "0"}}, flushFrequency: 5s, verbosity: 2}
`;
  for (const source of [{ file }, {}]) {
    const outcome = parseProxyConfig(source);
    if ('faults' in outcome) throw new Error(JSON.stringify(outcome.faults));
    const again = parseProxyConfig({ file: configText(outcome.values) });
    expect(again).toMatchObject({ config: outcome.config, values: outcome.values });
  }
});

test('what is written and served at /configz is what kube-proxy writes: sorted, durations as Go has them', () => {
  const flags = new Map<FieldPath, string>([
    ['mode', 'nftables'],
    ['iptables.minSyncPeriod', '10ms'],
    ['iptables.masqueradeBit', '7'],
    ['conntrack.udpTimeout', '90.5s'],
  ]);
  const outcome = parseProxyConfig({ flags });
  if ('faults' in outcome) throw new Error(JSON.stringify(outcome.faults));
  expect(outcome.config.object).toMatchObject({
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    conntrack: { tcpEstablishedTimeout: '24h0m0s', tcpCloseWaitTimeout: '1h0m0s', udpTimeout: '1m30.5s' },
    iptables: { masqueradeBit: 7, minSyncPeriod: '10ms', syncPeriod: '30s' },
    nftables: { masqueradeBit: 14, minSyncPeriod: '10ms' },
    healthzBindAddress: '0.0.0.0:10256',
  });
  const names = [...configText(outcome.values).matchAll(/^\w+/gm)].map(([name]) => name);
  expect(names).toEqual(names.toSorted());
});

test('durations add their parts', () => {
  fc.assert(
    fc.property(fc.nat(99), fc.nat(59), fc.nat(59), (hours, minutes, seconds) => {
      expect(durationMs(`${hours}h${minutes}m${seconds}s`)).toEqual({
        value: ((hours * 60 + minutes) * 60 + seconds) * 1000,
      });
    }),
  );
});

test('a field named like a method of every object is an unknown field', () => {
  expect(parseProxyConfig({ file: `${HEAD}valueOf: []` })).toMatchObject({
    config: {},
    notes: [{ at: 'valueOf (3:10)', message: 'is no field of KubeProxyConfiguration v1alpha1' }],
  });
});

test('no text is too odd for the parser', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => HEAD + json),
      ),
      (file) => {
        const outcome = parseProxyConfig({ file });
        expect('config' in outcome || outcome.faults.length > 0).toBe(true);
      },
    ),
  );
});
