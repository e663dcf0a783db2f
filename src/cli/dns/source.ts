import { createApiClient } from '../../api/client/api-client.ts';
import type { Resource } from '../../api/client/client.ts';
import { feedSink } from '../../api/client/feed-sink.ts';
import { inClusterAccess } from '../../api/client/in-cluster.ts';
import { loadKubeconfig } from '../../api/client/kubeconfig.ts';
import { openManifestSource } from '../../api/client/manifest-source.ts';
import { openHttpExchange } from '../../api/client/open-exchange.ts';
import { measuredExchange } from '../../api/client/request-metrics.ts';
import { openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { ObjectSink } from '../../api/kinds/object-sink.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Registry } from '../../base/metrics.ts';
import { exec } from '../../net/exec.ts';
import type { ClusterNeeds } from '../../../dns/block-settings.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';

const SERVICE_IMPORTS: Resource = {
  group: 'multicluster.x-k8s.io',
  version: 'v1alpha1',
  plural: 'serviceimports',
  kind: 'ServiceImport',
  namespaced: true,
};

export interface DnsSourceOptions {
  readonly sink: ObjectSink;
  /** Manifests instead of an API server. */
  readonly from: readonly string[] | undefined;
  /** Undefined: what the Corefile says, else the pod's own service account. */
  readonly kubeconfig: string | undefined;
  readonly needs: readonly ClusterNeeds[];
  readonly follow: boolean;
  readonly metrics: Registry;
}

/** Feeds the sink with what the Corefile answers from. Returns at once for an API: the server waits as it is told to. */
export async function openDnsSource(
  context: CliContext,
  options: DnsSourceOptions,
): Promise<AsyncDisposable> {
  const { stdin, log } = context;
  if (options.from) {
    const deps = { stdin, clock: systemClock, log };
    return await openManifestSource(options.from, [options.sink], deps, { follow: options.follow });
  }
  // A Corefile without kubernetes needs no cluster.
  if (options.needs.length === 0) return new AsyncDisposableStack();
  return await fromApi(context, options);
}

async function fromApi(context: CliContext, options: DnsSourceOptions): Promise<AsyncDisposable> {
  const { env, log } = context;
  const stack = new AsyncDisposableStack();
  const named = options.needs.find(({ api }) => api.kubeconfig !== undefined)?.api;
  const kubeconfig = options.kubeconfig ?? named?.kubeconfig;
  try {
    const access =
      kubeconfig === undefined
        ? await inClusterAccess(env)
        : await loadKubeconfig(kubeconfig, named?.kubeconfigContext);
    const open = stack.use(openHttpExchange(access, { clock: systemClock, exec, env }));
    const exchange = measuredExchange(
      open.exchange,
      { clock: systemClock, metrics: options.metrics },
      { prefix: 'coredns_kubernetes_', host: access.server.host },
    );
    const client = createApiClient(exchange, { userAgent: 'weft-dns' });
    const deps = { clock: systemClock, log, random: Math.random, metrics: options.metrics };
    for (const { resource, labelSelector } of followed(options.needs)) {
      const selected = labelSelector === undefined ? {} : { labelSelector };
      const informer = stack.use(openInformer(client, resource, selected, deps));
      stack.use(feedSink(informer, options.sink));
    }
    return stack;
  } catch (error) {
    await stack.disposeAsync();
    const code = (error as { code?: string }).code;
    const usage = code === 'KUBECONFIG_INVALID' || code === 'NOT_IN_CLUSTER';
    throw new ExitError(
      usage ? EXIT_USAGE : EXIT_FAILURE,
      `${messageOf(error)}. Name a kubeconfig with --kubeconfig, or manifests with --from.`,
    );
  }
}

/** One list and watch a kind; a label selector is left to the server when all stanzas share it. */
function followed(
  needs: readonly ClusterNeeds[],
): { resource: Resource; labelSelector: string | undefined }[] {
  if (needs.length === 0) return [];
  const selectors = new Set(needs.map((need) => need.labelSelector));
  const labelSelector = selectors.size === 1 ? needs[0]!.labelSelector : undefined;
  const all = (resource: Resource): { resource: Resource; labelSelector: undefined } => ({
    resource,
    labelSelector: undefined,
  });
  return [
    all(resources.namespaces),
    all(resources.nodes),
    { resource: resources.services, labelSelector },
    { resource: resources.endpointSlices, labelSelector },
    ...(needs.some((need) => need.pods) ? [{ resource: resources.pods, labelSelector }] : []),
    ...(needs.some((need) => need.imports) ? [all(SERVICE_IMPORTS)] : []),
  ];
}
