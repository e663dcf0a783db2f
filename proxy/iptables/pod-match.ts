import type { NodeSettings } from '../../endpoints/node-view.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import type { Match } from '../../src/net/iptables-rule.ts';

/**
 * Tells packets of local pods from others. Undefined when this node has no way to tell. iptables can negate one
 * network only, so the first CIDR of the family counts, as kube-proxy's settings allow one a family.
 */
export function podMatch(node: NodeSettings, negate: boolean): Match | undefined {
  const detect = node.detectLocal;
  const not = negate ? { negate } : {};
  switch (detect.mode) {
    case 'ClusterCIDR':
    case 'NodeCIDR': {
      const cidr = detect.cidrs.find((text) => parseCidr(text)?.family === node.family);
      return cidr === undefined ? undefined : { kind: 'source', cidr, ...not };
    }
    case 'BridgeInterface':
      return { kind: 'in-interface', name: detect.bridge, ...not };
    case 'InterfaceNamePrefix':
      return { kind: 'in-interface', name: `${detect.prefix}+`, ...not };
    case 'None':
      return undefined;
  }
}
