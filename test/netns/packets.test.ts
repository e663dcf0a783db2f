import { describe, test } from 'vitest';
import { KERNEL_DEFAULT, type KernelOptions } from '../../proxy/config/kernel-options.ts';
import { cannotSendPackets } from './can-send-packets.ts';
import { packetCases } from './packet-suite.ts';

const kernel = (iptablesVariant: 'nft' | 'legacy'): KernelOptions => ({
  ...KERNEL_DEFAULT,
  iptablesVariant,
});
const reason = cannotSendPackets();

if (reason !== undefined) test('packets through the kernel', (context) => context.skip(reason));
else {
  describe('packets through the kernel', () => {
    packetCases([
      { title: 'nftables', mode: 'nftables' },
      { title: 'iptables, kernel interface nf_tables', mode: 'iptables', kernel: kernel('nft') },
      { title: 'iptables, kernel interface legacy', mode: 'iptables', kernel: kernel('legacy') },
    ]);
  });
}
