import type { NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import { cidrContains } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';
import { anyContains, parsed } from './source.ts';

/**
 * Says whether a source may use the load balancer addresses of a port that has source ranges. A node inside a
 * range may also come from the load balancer address itself, when that is bound on it.
 */
export function sourceRangeTest(port: ServicePortView, node: NodeSettings): (source: string) => boolean {
  const ranges = parsed(port.sourceRanges);
  const nodeIsInside = node.primaryAddresses.some((address) => anyContains(ranges, address));
  return (source) => {
    if (nodeIsInside && port.loadBalancerIPs.includes(source)) return true;
    const bytes = parseAddress(source);
    return bytes !== undefined && ranges.some((range) => cidrContains(range, bytes));
  };
}
