import { type ApiClient, ApiError, type Resource } from '../../api/client/client.ts';
import { resources } from '../../api/client/resources.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import { messageOf } from '../../base/fault.ts';
import { CLUSTER_DOMAIN_ANNOTATION, DNS_NAMESPACE, DNS_SERVICE } from '../../node/dns/cluster-dns.ts';
import { connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, ExitError } from '../context.ts';

export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';
/** Where kubeadm and most distributions keep the Corefile. */
const COREFILE_CONFIG_MAP = 'coredns';

/**
 * The DNS zone of a running cluster: `weft up` writes it beside its DNS service, others have it in CoreDNS's Corefile.
 * `cluster.local` where neither says so. Throws ExitError when the API server cannot be reached.
 */
export async function clusterDomainOf(context: CliContext, kubeconfig: string | undefined): Promise<string> {
  await using access = await connect(context, kubeconfig);
  const read = <T extends KubeObject>(resource: Resource, name: string): Promise<T | undefined> =>
    readIfAllowed<T>(access.client, resource, name);
  const service = await read(resources.services, DNS_SERVICE);
  const written = service?.metadata.annotations?.[CLUSTER_DOMAIN_ANNOTATION];
  if (written !== undefined) return written;
  const settings = await read<KubeObject & { readonly data?: Readonly<Record<string, string>> }>(
    resources.configMaps,
    COREFILE_CONFIG_MAP,
  );
  const corefile = settings?.data?.['Corefile'];
  return (corefile && (await domainOfCorefile(corefile, context))) || DEFAULT_CLUSTER_DOMAIN;
}

/** Undefined: there is none, or this user may not see it. */
async function readIfAllowed<T extends KubeObject>(
  client: ApiClient,
  resource: Resource,
  name: string,
): Promise<T | undefined> {
  try {
    return await client.get<T>(resource, name, DNS_NAMESPACE);
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return undefined;
    throw new ExitError(
      EXIT_FAILURE,
      `the API server did not answer: ${messageOf(error)}. Start it, or name another kubeconfig with --kubeconfig, or manifests with --from.`,
    );
  }
}

/** The zone of the first `kubernetes` stanza; undefined without one, or when weft does not know what is written there. */
async function domainOfCorefile(text: string, { env }: CliContext): Promise<string | undefined> {
  const { loadCorefile } = await import('../../../dns/corefile/load.ts');
  try {
    const source = { text, name: `${DNS_NAMESPACE}/${COREFILE_CONFIG_MAP}` };
    const { plans } = loadCorefile(source, { dnsPort: 53, strict: false, env });
    const zone = plans.flatMap(({ settings }) => settings.cluster ?? [])[0]?.options.primaryZone;
    return zone?.replace(/\.$/, '');
  } catch {
    return undefined;
  }
}
