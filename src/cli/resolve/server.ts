import { readManifests } from '../../api/client/manifest-read.ts';
import { resources } from '../../api/client/resources.ts';
import type { EndpointSlice } from '../../api/kinds/endpoint-slice.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import type { Service } from '../../api/kinds/service.ts';
import { messageOf } from '../../base/fault.ts';
import { familyOf, splitHostPort } from '../../net/ip.ts';
import { DNS_NAMESPACE, DNS_SERVICE } from '../../node/dns/cluster-dns.ts';
import { connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import type { AskTransport } from './ask.ts';

interface ServerAddress {
  readonly address: string;
  readonly port: number;
}

const PORTS: Readonly<Record<AskTransport, number>> = { udp: 53, tcp: 53, tls: 853, https: 443 };

/** ADDRESS or ADDRESS:PORT. */
export function serverFlag(text: string, transport: AskTransport): ServerAddress {
  if (familyOf(text)) return { address: text, port: PORTS[transport] };
  const split = splitHostPort(text);
  if (split && familyOf(split.host)) return { address: split.host, port: split.port };
  throw new ExitError(
    EXIT_USAGE,
    `--server ${text}: use ADDRESS or ADDRESS:PORT, for example 127.0.0.1:10053`,
  );
}

/**
 * Where the cluster's DNS answers: the first ready endpoint of kube-dns, which is what `weft up` publishes even when
 * it cannot listen on port 53, else the cluster IP.
 */
export async function clusterDnsServer(
  context: CliContext,
  kubeconfig: string | undefined,
  transport: AskTransport,
): Promise<ServerAddress> {
  await using access = await connect(context, kubeconfig);
  try {
    const { items } = await access.client.list<EndpointSlice>(resources.endpointSlices, {
      namespace: DNS_NAMESPACE,
      labelSelector: `kubernetes.io/service-name=${DNS_SERVICE}`,
    });
    const found = items.map((slice) => endpointOf(slice, transport)).find((each) => each !== undefined);
    if (found) return found;
    const service = await access.client.get<Service>(resources.services, DNS_SERVICE, DNS_NAMESPACE);
    const clusterIP = service.spec?.clusterIP;
    if (clusterIP && familyOf(clusterIP)) return { address: clusterIP, port: PORTS[transport] };
  } catch (error) {
    throw new ExitError(
      EXIT_FAILURE,
      `cannot find ${DNS_NAMESPACE}/${DNS_SERVICE}: ${messageOf(error)}. Name a server with --server.`,
    );
  }
  throw new ExitError(
    EXIT_FAILURE,
    `${DNS_NAMESPACE}/${DNS_SERVICE} has no address. Name one with --server.`,
  );
}

function endpointOf(slice: EndpointSlice, transport: AskTransport): ServerAddress | undefined {
  const protocol = transport === 'udp' ? 'UDP' : 'TCP';
  const plain = transport === 'udp' || transport === 'tcp';
  const port = plain
    ? slice.ports?.find((each) => (each.protocol ?? 'TCP') === protocol)?.port
    : PORTS[transport];
  const endpoint = slice.endpoints?.find(({ conditions }) => conditions?.ready !== false);
  const address = endpoint?.addresses[0];
  return address !== undefined && port !== undefined && port !== null ? { address, port } : undefined;
}

/** The pod whose resolv.conf counts: of the manifests when there are some, else of the API. */
export async function podOf(
  context: CliContext,
  kubeconfig: string | undefined,
  key: string,
  from: readonly string[] | undefined,
): Promise<Pod> {
  const [namespace, name, ...more] = key.split('/');
  if (!namespace || !name || more.length > 0)
    throw new ExitError(EXIT_USAGE, `--pod ${key}: use NAMESPACE/NAME`);
  if (from) {
    const { objects } = await readManifests(from, { stdin: context.stdin });
    const found = objects.find(
      ({ object: { kind, metadata } }) =>
        kind === 'Pod' && metadata.name === name && (metadata.namespace ?? 'default') === namespace,
    );
    if (found) return found.object as Pod;
    throw new ExitError(EXIT_USAGE, `--pod ${key}: there is no such pod in ${from.join(', ')}`);
  }
  await using access = await connect(context, kubeconfig);
  try {
    return await access.client.get<Pod>(resources.pods, name, namespace);
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--pod ${key}: ${messageOf(error)}`);
  }
}
