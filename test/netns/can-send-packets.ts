import { canMakeNamespaces } from '../support/own-network.ts';
import { missingTools } from '../support/system-tools.ts';

/** Why packets cannot be sent through a kernel's rules here; undefined when they can. */
export function cannotSendPackets(...tools: readonly string[]): string | undefined {
  const needed = ['ip', 'iptables', 'nft', 'ipset', ...tools];
  const missing = missingTools().filter((tool) => needed.includes(tool));
  if (missing.length > 0) return `missing tools: ${missing.join(', ')}`;
  return canMakeNamespaces() ? undefined : 'needs root and network namespaces';
}
