import { describe, test } from 'vitest';
import { KERNEL_DEFAULT } from '../../proxy/config/kernel-options.ts';
import { cannotSendPackets } from './can-send-packets.ts';
import { packetSequences } from './packet-sequences.ts';

const reason = cannotSendPackets('conntrack');

if (reason !== undefined) test('sequences through the kernel', (context) => context.skip(reason));
else {
  describe('nftables', () => packetSequences({ mode: 'nftables' }));
  describe.each(['nft', 'legacy'] as const)('iptables, kernel interface %s', (iptablesVariant) =>
    packetSequences({ mode: 'iptables', kernel: { ...KERNEL_DEFAULT, iptablesVariant } }),
  );
}
