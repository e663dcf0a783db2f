import { hash as digestOf } from 'node:crypto';
import type { EndpointAddressPort, ServicePortView } from '../../endpoints/node-view.ts';
import { transportOf } from '../../src/api/kinds/meta.ts';
import { joinHostPort } from '../../src/net/ip.ts';

/** kube-proxy's chains, by the names that tools and people know. */
export const KUBE = {
  services: 'KUBE-SERVICES',
  externalServices: 'KUBE-EXTERNAL-SERVICES',
  nodePorts: 'KUBE-NODEPORTS',
  postrouting: 'KUBE-POSTROUTING',
  markMasq: 'KUBE-MARK-MASQ',
  forward: 'KUBE-FORWARD',
  proxyFirewall: 'KUBE-PROXY-FIREWALL',
  firewall: 'KUBE-FIREWALL',
  canary: 'KUBE-PROXY-CANARY',
} as const;

/** Prefixes of the chains that a service port has of its own. */
export const PORT_CHAIN_PREFIXES = ['KUBE-SVC-', 'KUBE-SVL-', 'KUBE-EXT-', 'KUBE-FW-', 'KUBE-SEP-'] as const;

const HASH_CHARACTERS = 16;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export interface PortChains {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
}

/** `namespace/name:portName`, the name in kube-proxy's comments and hashes (without the colon if nameless). */
export function portName(view: ServicePortView): string {
  const { namespace, name, portName: port } = view;
  return port === '' ? `${namespace}/${name}` : `${namespace}/${name}:${port}`;
}

export function portChains(view: ServicePortView): PortChains {
  const hash = chainHash(portName(view) + transportOf(view.protocol));
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

export function endpointChain(view: ServicePortView, endpoint: EndpointAddressPort): string {
  const key = portName(view) + transportOf(view.protocol) + joinHostPort(endpoint.address, endpoint.port);
  return `KUBE-SEP-${chainHash(key)}`;
}

/** The first 16 characters of base32(sha256(key)): with the prefix it stays below the kernel's 28 characters. */
export function chainHash(key: string): string {
  const digest = digestOf('sha256', key, 'buffer');
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of digest) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5 && text.length < HASH_CHARACTERS; bits -= 5)
      text += BASE32[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
    if (text.length === HASH_CHARACTERS) break;
  }
  return text;
}
