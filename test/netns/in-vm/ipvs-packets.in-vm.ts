import { KERNEL_DEFAULT } from '../../../proxy/config/kernel-options.ts';
import { packetCasesInOneWorld } from '../packet-suite.ts';

packetCasesInOneWorld({
  title: 'ipvs',
  mode: 'ipvs',
  kernel: { ...KERNEL_DEFAULT, iptablesVariant: 'legacy' },
});
