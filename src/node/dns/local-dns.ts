import type { SnapshotSource } from '../../../endpoints/snapshot.ts';
import { DnsServer } from '../../../dns/server/dns-server.ts';
import { dnsEngines } from '../../../dns/server/engine.ts';
import { hostAddresses } from '../../../proxy/host-addresses.ts';
import { openNodeLocal } from './node-local-dns.ts';
import { nodeCorefile, upstreamsBeside } from './node-corefile.ts';
import type { NodeDeps } from '../parts.ts';

/** Carries the addresses that the host lacks; the name that node-local DNS has everywhere. */
const INTERFACE = 'nodelocaldns';

export interface LocalDnsOptions {
  /** Where pods of this node ask; an address that the host lacks is put on a dummy interface. */
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
  const ground =
    foreign.length > 0
      ? stack.use(await openNodeLocal(deps, { addresses: foreign, port, interfaceName: INTERFACE }))
      : undefined;
  const upstreams = upstreamsBeside(
    deps.log,
    addresses.map((host) => ({ host, port })),
  );
  const builtIn = nodeCorefile({ clusterDomain, pods: 'insecure', upstreams });
  const { openDatagram } = dnsEngines('auto', deps, { receivers: 1 });
  const server = stack.use(
    await DnsServer.open(
      { ...deps, openDatagram },
      {
        corefile: corefile === undefined ? { text: builtIn } : { path: corefile },
        dnsPort: port,
        defaultBind: addresses,
        strict,
      },
    ),
  );
  // before the server drains: new questions go elsewhere
  if (ground) stack.defer(() => ground.withdraw());
  const owned = stack.move();
  return { server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
