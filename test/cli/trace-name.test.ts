import { describe, expect, it } from 'vitest';
import { nameTarget, packetTarget } from '../../src/cli/trace/name.ts';

describe('what --to names', () => {
  it.each([
    ['a name', 'api.shop:8080', { name: 'api.shop', port: 8080, protocol: 'tcp' }],
    [
      'with its protocol',
      'kube-dns.kube-system:53/udp',
      { name: 'kube-dns.kube-system', port: 53, protocol: 'udp' },
    ],
    [
      'a URL inside',
      'http://api.shop.svc.cluster.local/x',
      { name: 'api.shop.svc.cluster.local', port: 80, protocol: 'tcp' },
    ],
    [
      'a URL inside with a port',
      'wss://a.b.svc.cluster.local:8443',
      { name: 'a.b.svc.cluster.local', port: 8443, protocol: 'tcp' },
    ],
    ['a URL outside', 'https://shop.example/', undefined],
    ['an address', '10.0.0.1:80/tcp', undefined],
    ['an IPv6 address', '[fd00::1]:80', undefined],
    ['a name without a port', 'api.shop', undefined],
  ])('%s', (_name, to, expected) => expect(nameTarget(to, 'cluster.local')).toEqual(expected));

  it('becomes a packet', () => {
    const target = { name: 'a', port: 53, protocol: 'udp' };
    expect(packetTarget('fd00::1', target)).toBe('[fd00::1]:53/udp');
  });
});
