import { describe, expect, it } from 'vitest';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { namespaceSearch, podSearch, searchCandidates } from '../../src/cli/resolve/search.ts';

const shop = namespaceSearch('shop', 'cluster.local');

describe('search path', () => {
  it.each<[string, string, string[]]>([
    [
      'a short name goes through the search path first',
      'web',
      ['web.shop.svc.cluster.local.', 'web.svc.cluster.local.', 'web.cluster.local.', 'web.'],
    ],
    [
      'a name with ndots dots goes first as it is',
      'a.b.c.d.e.f',
      [
        'a.b.c.d.e.f.',
        'a.b.c.d.e.f.shop.svc.cluster.local.',
        'a.b.c.d.e.f.svc.cluster.local.',
        'a.b.c.d.e.f.cluster.local.',
      ],
    ],
    ['a name with a trailing dot stands alone', 'web.', ['web.']],
  ])('%s', (_what, name, candidates) => expect(searchCandidates(name, shop)).toEqual(candidates));

  it('does not count escaped dots', () =>
    expect(searchCandidates('a\\.b', { search: ['x'], ndots: 1 })[0]).toBe('a\\.b.x.'));
});

describe('the search path of a pod', () => {
  const pod = (spec: Record<string, unknown>): Pod =>
    ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop' }, spec }) as unknown as Pod;

  it.each<[string, Record<string, unknown>, { search: string[]; ndots: number }]>([
    ['by default', {}, { search: [...shop.search], ndots: 5 }],
    ['dnsPolicy Default', { dnsPolicy: 'Default' }, { search: [], ndots: 1 }],
    ['host network', { hostNetwork: true }, { search: [], ndots: 1 }],
    [
      'host network that asks for cluster DNS',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      { search: [...shop.search], ndots: 5 },
    ],
    [
      'dnsConfig adds to it',
      {
        dnsConfig: {
          searches: ['corp.example', 'svc.cluster.local'],
          options: [{ name: 'ndots', value: '2' }],
        },
      },
      { search: [...shop.search, 'corp.example'], ndots: 2 },
    ],
    [
      'dnsPolicy None leaves only dnsConfig',
      { dnsPolicy: 'None', dnsConfig: { searches: ['corp.example'] } },
      { search: ['corp.example'], ndots: 1 },
    ],
  ])('%s', (_what, spec, wanted) => expect(podSearch(pod(spec), 'cluster.local')).toEqual(wanted));
});
