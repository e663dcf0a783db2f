import { expect, test } from 'vitest';
import type { ProxyMode } from '../../proxy/backend.ts';
import { MODE_TRAITS } from '../../proxy/mode-traits.ts';
import { healthCheckAddresses } from '../../proxy/packet/node-ports.ts';
import type { Family } from '../../src/net/ip.ts';
import { CaseWorld, PROXY_CASES } from '../suites/backend.ts';

const settings = new CaseWorld(PROXY_CASES.groups[0]!).settings;

/** As kube-proxy 1.35 was seen to listen on the node alpha. */
test.for<[ProxyMode, Family, string[], string[]]>([
  ['iptables', 'IPv4', [], ['0.0.0.0']],
  ['iptables', 'IPv6', [], ['::']],
  ['nftables', 'IPv4', [], ['172.20.0.11']],
  ['nftables', 'IPv6', [], ['2001:db8:20::11']],
  ['nftables', 'IPv4', ['127.0.0.0/8', '172.21.0.0/16'], ['127.0.0.1', '172.21.0.11']],
  ['iptables', 'IPv4', ['172.20.0.0/24'], ['172.20.0.11']],
  ['iptables', 'IPv4', ['primary'], ['172.20.0.11']],
  ['nftables', 'IPv4', ['0.0.0.0/0'], ['0.0.0.0']],
  ['iptables', 'IPv4', ['192.0.2.0/24'], []],
])('%s, %s, nodePortAddresses %j: health checks answer on %j', ([mode, family, words, expected]) => {
  const node = settings.find((each) => each.family === family)!;
  const asked = { ...node, nodePortAddresses: words };
  expect(healthCheckAddresses(asked, MODE_TRAITS[mode])).toEqual(expected);
});

test('where the host has none of the addresses that its Node object names, they answer everywhere', () => {
  const node = { ...settings[0]!, addresses: ['192.0.2.1'] };
  expect(healthCheckAddresses(node, MODE_TRAITS.nftables)).toEqual(['0.0.0.0']);
});
