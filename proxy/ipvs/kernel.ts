import { Fault } from '../../src/base/fault.ts';
import { Ipsets } from '../../src/net/netlink/ipset.ts';
import { Ipvs } from '../../src/net/netlink/ipvs.ts';
import { Links } from '../../src/net/netlink/links.ts';
import { NETLINK, type OpenNetlink } from '../../src/net/netlink/socket.ts';

/** What the mode says to the kernel without starting programs. */
export interface KernelCalls extends Disposable {
  readonly ipvs: Ipvs;
  readonly ipsets: Ipsets;
  readonly links: Links;
}

/** In the network namespace of whoever calls. Faults: those of openNetlink. */
export function openKernelCalls(openNetlink: OpenNetlink | undefined): KernelCalls {
  if (!openNetlink)
    throw new Fault('IPVS_UNAVAILABLE', 'mode ipvs speaks netlink, which is not to be had here');
  using opened = new DisposableStack();
  const ipvs = opened.use(new Ipvs(openNetlink(NETLINK.GENERIC)));
  const ipsets = opened.use(new Ipsets(openNetlink(NETLINK.NETFILTER)));
  const links = opened.use(new Links(openNetlink(NETLINK.ROUTE)));
  const kept = opened.move();
  return { ipvs, ipsets, links, [Symbol.dispose]: () => kept.dispose() };
}
