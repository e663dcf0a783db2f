import type { NodeSettings } from '../../endpoints/node-view.ts';
import { type Cidr, cidrContains, parseCidr } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';

/** Who sends: a pod as detectLocal sees it, this node itself, or anybody else. */
export type SourceKind = 'pod' | 'node' | 'outside';

export interface SourceClassifier {
  kindOf(address: string, inputInterface: string | undefined): SourceKind;
  isNodeAddress(address: string): boolean;
}

/** Prepared once per NodeSettings; asked per packet or connection. */
export function sourceClassifier(node: NodeSettings): SourceClassifier {
  const own = new Set(node.addresses);
  const isPod = podTest(node);
  const isNodeAddress = (address: string): boolean =>
    own.has(address) || address.startsWith('127.') || address === '::1';
  return {
    isNodeAddress,
    kindOf: (address, inputInterface) => {
      if (isPod(address, inputInterface)) return 'pod';
      return isNodeAddress(address) ? 'node' : 'outside';
    },
  };
}

/** Whether pods can be told from others here: networks of the other family tell nothing in this one. */
export function detectsPods({ detectLocal, family }: NodeSettings): boolean {
  if (detectLocal.mode === 'ClusterCIDR' || detectLocal.mode === 'NodeCIDR')
    return parsed(detectLocal.cidrs).some((cidr) => cidr.family === family);
  return detectLocal.mode !== 'None';
}

type PodTest = (address: string, inputInterface: string | undefined) => boolean;

function podTest({ detectLocal, family }: NodeSettings): PodTest {
  if (detectLocal.mode === 'ClusterCIDR' || detectLocal.mode === 'NodeCIDR') {
    const cidrs = parsed(detectLocal.cidrs).filter((cidr) => cidr.family === family);
    return (address) => anyContains(cidrs, address);
  }
  if (detectLocal.mode === 'BridgeInterface')
    return (_address, inputInterface) => inputInterface === detectLocal.bridge;
  if (detectLocal.mode === 'InterfaceNamePrefix')
    return (_address, inputInterface) => inputInterface?.startsWith(detectLocal.prefix) === true;
  return () => false;
}

export function parsed(cidrs: readonly string[]): readonly Cidr[] {
  return cidrs.flatMap((text) => parseCidr(text) ?? []);
}

export function anyContains(cidrs: readonly Cidr[], address: string): boolean {
  const bytes = parseAddress(address);
  return bytes !== undefined && cidrs.some((cidr) => cidrContains(cidr, bytes));
}
