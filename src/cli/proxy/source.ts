import { createApiClient } from '../../api/client/api-client.ts';
import type { ApiClient, Resource } from '../../api/client/client.ts';
import { feedSink } from '../../api/client/feed-sink.ts';
import { openManifestSource } from '../../api/client/manifest-source.ts';
import { openHttpExchange } from '../../api/client/open-exchange.ts';
import { measuredExchange } from '../../api/client/request-metrics.ts';
import { openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import { HEADLESS_LABEL, SERVICE_PROXY_NAME_LABEL } from '../../api/kinds/endpoint-slice.ts';
import type { ObjectSink } from '../../api/kinds/object-sink.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Registry } from '../../base/metrics.ts';
import { exec } from '../../net/exec.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import { nodeAccess } from './node-access.ts';

export interface ProxySourceOptions {
  readonly sinks: readonly ObjectSink[];
  /** Manifests instead of an API server. */
  readonly from: readonly string[] | undefined;
  /** Empty: the pod's own service account. */
  readonly kubeconfig: string;
  /** The server's address, whatever the kubeconfig says. */
  readonly master?: string | undefined;
  readonly follow: boolean;
  /** A server that refuses the first call is a fault, nothing to wait for. */
  readonly atOnce?: boolean;
  /** How long the first lists may take. */
  readonly deadlineMs: number;
  readonly metrics: Registry;
  /** Follow pods too. */
  readonly pods?: boolean;
  /** Also what a proxy leaves to others and DNS does not: headless services, namespaces. */
  readonly names?: boolean;
  /** How to reach the API, when not by kubeconfig or service account. */
  readonly connect?: () => Promise<{ readonly client: ApiClient } & AsyncDisposable>;
}

/** Services and slices that kube-proxy leaves to others are not even listed. */
const SELECTOR = `!${SERVICE_PROXY_NAME_LABEL},!${HEADLESS_LABEL}`;

interface Followed {
  readonly resource: Resource;
  readonly labelSelector?: string;
}

const FOLLOWED: readonly Followed[] = [
  { resource: resources.nodes },
  { resource: resources.services, labelSelector: SELECTOR },
  { resource: resources.endpointSlices, labelSelector: SELECTOR },
  { resource: resources.serviceCIDRs },
];

function followedFor({ pods, names }: ProxySourceOptions): readonly Followed[] {
  return [
    ...(names
      ? [...FOLLOWED.map(({ resource }) => ({ resource })), { resource: resources.namespaces }]
      : FOLLOWED),
    ...(pods ? [{ resource: resources.pods }] : []),
  ];
}

/** Feeds the sinks with what a proxy needs; resolves when the first complete lists are in. */
export async function openProxySource(
  context: CliContext,
  options: ProxySourceOptions,
): Promise<AsyncDisposable> {
  return options.from ? await fromManifests(context, options.from, options) : await fromApi(context, options);
}

async function fromManifests(
  { stdin, log }: CliContext,
  paths: readonly string[],
  { sinks, follow }: ProxySourceOptions,
): Promise<AsyncDisposable> {
  return await openManifestSource(paths, sinks, { stdin, clock: systemClock, log }, { follow });
}

async function fromApi(context: CliContext, options: ProxySourceOptions): Promise<AsyncDisposable> {
  const { log, stop } = context;
  const stack = new AsyncDisposableStack();
  try {
    const { client } = stack.use(await (options.connect ?? (() => connectAsNode(context, options)))());
    const deps = { clock: systemClock, log, random: Math.random, metrics: options.metrics };
    const required: Promise<void>[] = [];
    const signal = AbortSignal.any([stop, AbortSignal.timeout(options.deadlineMs)]);
    if (options.atOnce) await client.read('/version', signal);
    for (const { resource, labelSelector } of followedFor(options)) {
      const selected = labelSelector === undefined ? {} : { labelSelector };
      const informer = stack.use(openInformer(client, resource, selected, deps));
      for (const sink of options.sinks) stack.use(feedSink(informer, sink));
      // servers before 1.33 have no ServiceCIDR; the proxy does without
      if (resource !== resources.serviceCIDRs) required.push(informer.synced(signal));
    }
    await Promise.all(required);
    return stack;
  } catch (error) {
    await stack.disposeAsync();
    if (stop.aborted) throw new ExitError(0, 'stopped');
    if (error instanceof ExitError) throw error;
    const code = (error as { code?: string }).code;
    const usage = code === 'KUBECONFIG_INVALID' || code === 'NOT_IN_CLUSTER';
    throw new ExitError(
      usage ? EXIT_USAGE : EXIT_FAILURE,
      `${messageOf(error)}. Name a kubeconfig with --kubeconfig, or manifests with --from.`,
    );
  }
}

/** By kubeconfig, else as a pod of the cluster. */
async function connectAsNode(
  { env }: CliContext,
  { kubeconfig, master, metrics }: ProxySourceOptions,
): Promise<{ readonly client: ApiClient } & AsyncDisposable> {
  const access = await nodeAccess(env, kubeconfig, master);
  const open = openHttpExchange(access, { clock: systemClock, exec, env });
  const deps = { clock: systemClock, metrics };
  const exchange = measuredExchange(open.exchange, deps, { prefix: '', host: access.server.host });
  return {
    client: createApiClient(exchange, { userAgent: 'weft-proxy' }),
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}
