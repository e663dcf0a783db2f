import { cidrContains, parseCidr } from '../../../net/cidr.ts';

/** Pods, services and nodes do not live there; other programs of this host's network may. */
const FORBIDDEN = ['169.254.0.0/16', '0.0.0.0/8', '224.0.0.0/4', 'fe80::/10', '::/128', 'ff00::/8'].flatMap(
  (text) => parseCidr(text) ?? [],
);

/** True for addresses the server never connects to on somebody's behalf. */
export function isForbiddenTarget(address: string): boolean {
  return FORBIDDEN.some((one) => cidrContains(one, address));
}
