import { describe, expect, test } from 'vitest';
import { staleFlows } from '../../../proxy/kernel/stale-flows.ts';
import type { ServicePortView } from '../../../endpoints/node-view.ts';
import { parseFlows } from '../../../src/net/conntrack.ts';
import { CaseWorld } from '../../suites/backend.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { PROXY_CASES } from '../../suites/backend.ts';

const LISTED = `udp      17 28 src=10.42.1.7 dst=10.43.0.53 sport=5353 dport=53 [UNREPLIED] src=10.42.1.21 dst=10.42.1.7 sport=1053 dport=5353 mark=0 use=1
udp      17 118 src=198.51.100.7 dst=172.20.0.11 sport=4000 dport=30053 src=10.42.1.22 dst=172.20.0.11 sport=1053 dport=61000 [ASSURED] mark=0 use=1
udp      17 9 src=10.42.1.8 dst=10.43.0.53 sport=6000 dport=53 [UNREPLIED] src=10.43.0.53 dst=10.42.1.8 sport=53 dport=6000 mark=0 use=1
udp      17 9 src=fd42::8 dst=fd43::53 sport=6000 dport=53 src=fd42::21 dst=fd42::8 sport=1053 dport=6000 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.
`;

function dnsWith(...endpoints: readonly string[]): ServicePortView {
  const group = PROXY_CASES.groups[0]!;
  const port = { name: 'dns', port: 53, nodePort: 30_053, protocol: 'UDP' as const };
  const dns = service('kube/dns', { clusterIP: '10.43.0.53', type: 'NodePort', ports: [port] });
  const behind = slice('kube/dns-1', 'dns', {
    ports: { 'dns/UDP': 1053 },
    endpoints: endpoints.map((ip) => ({ ip })),
  });
  const [view] = new CaseWorld({ ...group, objects: [dns, behind] }).views();
  return [...view!.ports.values()][0]!;
}

const flows = parseFlows(LISTED);
const sources = (found: typeof flows): string[] => found.map(({ source }) => source);

describe('flows that conntrack lists', () => {
  test('are read with who answers', () => {
    expect(flows).toHaveLength(4);
    expect(flows[1]).toEqual({
      source: '198.51.100.7',
      sourcePort: 4000,
      destination: '172.20.0.11',
      destinationPort: 30_053,
      replySource: '10.42.1.22',
      replySourcePort: 1053,
    });
  });

  test.for([
    {
      title: 'an endpoint left: flows to it and flows that never met one',
      now: ['10.42.1.22'],
      stale: ['10.42.1.7', '10.42.1.8'],
    },
    {
      title: 'both serve: only what was never translated',
      now: ['10.42.1.21', '10.42.1.22'],
      stale: ['10.42.1.8'],
    },
    { title: 'none is left: what was translated', now: [], stale: ['10.42.1.7', '198.51.100.7'] },
  ])('$title', ({ now, stale }) => {
    const found = staleFlows(flows, [{ before: dnsWith('10.42.1.21'), now: dnsWith(...now) }]);
    expect(sources([...found])).toEqual(stale);
  });

  test('a service that is gone leaves none behind', () => {
    const found = staleFlows(flows, [{ before: dnsWith('10.42.1.21'), now: undefined }]);
    expect(sources([...found])).toEqual(['10.42.1.7', '198.51.100.7']);
  });

  test('other services are nobody’s business', () => expect(staleFlows(flows, [])).toEqual([]));
});
