import { describe, test } from 'vitest';
import { KERNEL_DEFAULT, type KernelOptions } from '../../proxy/kernel-options.ts';
import { canMakeNamespaces } from '../support/own-network.ts';
import { missingTools } from '../support/system-tools.ts';
import { packetCases } from './packet-suite.ts';

const kernel = (iptablesVariant: 'nft' | 'legacy'): KernelOptions => ({
  ...KERNEL_DEFAULT,
  iptablesVariant,
});
const missing = missingTools().filter((tool) => ['ip', 'iptables', 'nft', 'ipset'].includes(tool));

if (!canMakeNamespaces() || missing.length > 0) {
  test('packets through the kernel', (context) =>
    context.skip(`needs root and network namespaces; missing tools: ${missing.join(', ') || 'none'}`));
} else {
  describe('packets through the kernel', () => {
    packetCases([
      { title: 'nftables', mode: 'nftables' },
      { title: 'iptables, kernel interface nf_tables', mode: 'iptables', kernel: kernel('nft') },
      { title: 'iptables, kernel interface legacy', mode: 'iptables', kernel: kernel('legacy') },
    ]);
  });
}
