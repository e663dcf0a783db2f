import { hostLacks } from '../support/host-lacks.ts';

/** Why packets cannot be sent through a kernel's rules here; undefined when they can. */
export function cannotSendPackets(...tools: readonly string[]): string | undefined {
  return hostLacks('ip', 'iptables', 'nft', 'ipset', ...tools);
}
