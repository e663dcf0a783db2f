import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import { DnsServer } from '../../dns/server/dns-server.ts';
import { hostAddresses } from '../../proxy/host-addresses.ts';
import { Fault } from '../base/fault.ts';
import { HostRoutes } from './host-routes.ts';
import type { NodeDeps } from './parts.ts';

/** See HostRoutes: 151 is the userspace proxy's, 152 the pod network's. */
const ROUTE_PROTOCOL = 153;

export interface LocalDnsOptions {
  /** Where pods of this node ask; an address that the host lacks becomes its own by a route of type local. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Path of a Corefile; undefined: kubeadm's, without the parts that open further ports. */
  readonly corefile: string | undefined;
  readonly clusterDomain: string;
  readonly strict: boolean;
}

export interface LocalDns extends AsyncDisposable {
  readonly server: DnsServer;
}

/** The cluster's names and, through the Corefile's forwarders, all others, answered on the node itself. */
export async function openLocalDns(
  deps: NodeDeps & { readonly snapshots: SnapshotSource },
  { addresses, port, corefile, clusterDomain, strict }: LocalDnsOptions,
): Promise<LocalDns> {
  await using stack = new AsyncDisposableStack();
  const own = new Set(hostAddresses());
  const foreign = addresses.filter((each) => !own.has(each) && !each.startsWith('127.') && each !== '::1');
  if (foreign.length > 0) {
    const routes = stack.use(new HostRoutes(deps, { protocol: ROUTE_PROTOCOL }));
    const fault = await routes.set(foreign.map((to) => ({ to, via: undefined })));
    if (fault !== undefined) throw foreignFault(foreign, fault);
  }
  const server = stack.use(
    await DnsServer.open(deps, {
      corefile:
        corefile === undefined ? { text: nodeCorefile(clusterDomain, 'insecure') } : { path: corefile },
      dnsPort: port,
      defaultBind: addresses,
      strict,
    }),
  );
  const owned = stack.move();
  return { server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** kubeadm's Corefile without the parts that open further ports: health and metrics are the daemon's own. */
export function nodeCorefile(clusterDomain: string, pods: 'insecure' | 'verified'): string {
  return `. {
    errors
    kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
        pods ${pods}
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30 {
        disable success ${clusterDomain}
        disable denial ${clusterDomain}
    }
    loadbalance
}
`;
}

function foreignFault(addresses: readonly string[], reason: string): Fault {
  return new Fault(
    'DNS_ADDRESS',
    `${addresses.join(', ')} cannot become an address of this host (${reason}). ` +
      'Grant net_admin, or choose an address it has with --dns-address.',
  );
}
